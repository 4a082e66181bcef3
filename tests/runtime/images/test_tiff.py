"""EXIF blocks byte by byte: what is kept is what was there."""

import struct
from io import BytesIO

import pytest
from PIL import Image, TiffImagePlugin

from aeedge_runtime import ImageError, LimitError, load_picture, load_pictures
from aeedge_runtime.images.tiff import ORIENTATION, Directories, of_tiff, upright

NAME = "café — 名".encode()


def directory(order, entries, place):
    """A directory of (tag, kind, count, data) at a place, with its values behind it."""
    lines, values = struct.pack(order + "H", len(entries)), b""
    for tag, kind, count, data in entries:
        start = place + 2 + 12 * len(entries) + 4 + len(values)
        inside = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", start)
        lines += struct.pack(order + "HHI", tag, kind, count) + inside
        values += b"" if len(data) <= 4 else data
    return lines + bytes(4) + values


def block(order, *entries):
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + directory(order, entries, 8)


def turned(order, kind=3, count=1):
    """A block with text that is not ASCII, an orientation, and notes of the maker that lead within the block."""
    letter = {3: "H", 4: "I"}.get(kind, "H")
    value = struct.pack(order + letter, 6) * count
    return block(
        order, (0x010E, 2, len(NAME), NAME), (ORIENTATION, kind, count, value), (0x927C, 7, 9, b"\0makers\xff\0")
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_the_orientation_becomes_1_and_every_other_byte_stays(order, kind):
    before, after = turned(order, kind), upright(turned(order, kind))
    exif = Image.Exif()
    exif.load(after)
    assert exif[ORIENTATION] == 1
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(after, before, strict=True)) == 1
    assert upright(after) == after


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_keeps_its_block(kind):
    buffer = BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, kind, exif=b"Exif\0\0" + turned(">"))
    found = load_picture(buffer.getvalue())
    assert (found.pixels.shape, found.notes) == ((30, 20, 3), ())
    assert found.exif == upright(turned(">"))


def test_every_cut_of_a_block_is_refused_or_whole():
    whole = turned("<")
    with pytest.raises(ValueError, match="their file is not a TIFF"):
        upright(b"JFIF" + whole[4:])
    directory_ends = 8 + 2 + 3 * 12
    for size in range(directory_ends):
        with pytest.raises(ValueError, match=r"they are cut short|their file is not a TIFF"):
            upright(whole[:size])
    for size in range(directory_ends, len(whole)):  # values are not looked at
        assert upright(whole[:size]) == upright(whole)[:size]


def test_an_orientation_of_another_kind_is_cleared_by_pillow():
    odd = turned("<", count=3)
    with pytest.raises(ValueError, match=r"tag \d+ has values"):
        upright(odd)
    buffer = BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, "PNG", exif=b"Exif\0\0" + odd)
    found = load_picture(buffer.getvalue())
    exif = Image.Exif()
    exif.load(found.exif or b"")
    assert exif.get(ORIENTATION, 1) in (1, (6, 6, 6))  # Pillow turns by none of three


def tiff(order, first, inner, *, next_place=0):
    """A TIFF file of one gray pixel with entries of a photo and one directory below them."""
    strip, start = 8, 10
    pixel = [
        *((256, 4, 1, struct.pack(order + "I", 1)), (257, 4, 1, struct.pack(order + "I", 1))),
        *((258, 3, 1, struct.pack(order + "H", 8)), (259, 3, 1, struct.pack(order + "H", 1))),
        *((262, 3, 1, struct.pack(order + "H", 1)), (273, 4, 1, struct.pack(order + "I", strip))),
        *((277, 3, 1, struct.pack(order + "H", 1)), (279, 4, 1, struct.pack(order + "I", 1))),
    ]

    def entries(place):
        return sorted([*pixel, *first, (0x8769, 4, 1, struct.pack(order + "I", place))])

    below = start + len(directory(order, entries(0), start))
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return header + b"\x55\0" + directory(order, entries(below), start) + directory(order, inner, below)


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_the_tags_of_a_tiff_tell_is_kept_byte_by_byte(order):
    comment = b"UNICODE\0" + NAME
    first = [(0x010E, 2, len(NAME), NAME), (0x010F, 2, 3, b"ab\0")]
    inner = [(0x9003, 2, 20, b"2026:11:27 10:00:00\0"), (0x9286, 7, len(comment), comment)]
    data = tiff(order, first, inner)
    found = load_picture(data)
    assert (found.pixels.tolist(), found.notes) == ([[[0x55]]], ())
    read = Directories(BytesIO(found.exif or b""))
    entries = {entry.tag: entry for entry in read.entries(read.first)}
    assert list(entries) == [0x010E, 0x010F, 0x8769]
    assert (read.values(entries[0x010E]), read.values(entries[0x010F])) == (NAME, b"ab\0")
    below = [(e.tag, e.kind, e.count, read.values(e)) for e in read.entries(read.number(entries[0x8769]))]
    assert below == inner
    exif = Image.Exif()
    exif.load(found.exif)
    assert exif.get_ifd(0x8769)[0x9286] == comment


def test_places_within_the_file_are_not_carried_into_a_block():
    inner = [(0x9003, 2, 20, b"2026:11:27 10:00:00\0"), (0xA005, 4, 1, struct.pack("<I", 7))]
    read = Directories(BytesIO(load_picture(tiff("<", [], inner)).exif or b""))
    (pointer,) = read.entries(read.first)
    assert [entry.tag for entry in read.entries(read.number(pointer))] == [0x9003]


def test_a_page_has_tags_of_its_own():
    pages = [Image.new("L", (2, 2)), Image.new("L", (2, 2))]
    for page, maker in zip(pages, ("first", "second"), strict=True):
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[0x010F] = maker
        page.encoderinfo = {"tiffinfo": info}
    buffer = BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=pages[0].encoderinfo["tiffinfo"])
    for number, (page, maker) in enumerate(
        zip(load_pictures(buffer.getvalue()), (b"first\0", b"second\0"), strict=True)
    ):
        read = Directories(BytesIO(page.exif or b""))
        assert [read.values(entry) for entry in read.entries(read.first)] == [maker]
        assert of_tiff(buffer, list(Directories(buffer).chain())[number]) == page.exif
    with pytest.raises(ValueError, match="cut short"):
        of_tiff(BytesIO(buffer.getvalue()[:20]))


def test_values_of_more_than_an_exif_block_may_have_are_not_read():
    """Each of many entries may lead to the same bytes."""
    entries = [(0x010E, 2, 3 << 20, struct.pack("<I", 8))] * 6
    lines = b"".join(struct.pack("<HHI", tag, kind, count) + data for tag, kind, count, data in entries)
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + lines + bytes(4 << 20)
    with pytest.raises(ValueError, match="more than 16 MiB"):
        of_tiff(BytesIO(data))


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow before 13
def test_tags_that_cannot_be_read_are_dropped_with_a_note(tmp_path):
    data = tiff("<", [(0x010E, 2, len(NAME), NAME)], [(0x9003, 2, 1 << 20, struct.pack("<I", 8) + b"longer")])
    assert load_picture(data).notes == ("the EXIF tags were dropped: they are cut short",)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff("<", [(0x010E, 2, len(NAME), NAME)], []))
    image = Image.open(path)
    image.load()
    assert image.fp is None
    assert load_picture(image).notes == ("the EXIF tags were dropped: their file is closed",)


def text_profile(name, raw):
    """A PNG with an EXIF block as ImageMagick writes it."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(name, f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    buffer = BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["Raw profile type exif", "Raw profile type APP1"])
def test_an_exif_block_in_the_text_of_a_png_is_kept(name):
    found = load_picture(text_profile(name, b"Exif\0\0" + turned("<")))
    assert (found.pixels.shape, found.exif) == ((30, 20, 3), upright(turned("<")))
    other = load_picture(text_profile(name, b"http://ns.adobe.com/xap/1.0/\0<x/>"))
    assert other.exif is None


def test_numbers_of_a_bigtiff_that_no_file_can_have_are_refused():
    for count, first in ((2**64 - 1, 16), (1, 2**64 - 1), (2**40, 16)):
        data = b"II+\0" + struct.pack("<HHQQ", 8, 0, first, count) + bytes(200)
        with pytest.raises(ValueError, match="cut short"):
            list(Directories(BytesIO(data)).entries(first))
        with pytest.raises(ImageError):
            load_picture(data)
        with pytest.raises((ImageError, LimitError)):
            next(load_pictures(data))
