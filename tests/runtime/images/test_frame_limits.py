"""Frames are counted, and their size is known, before one is decoded."""

import contextlib
import struct
import time
from io import BytesIO

import pytest
from PIL import Image

from aeedge_runtime import ImageError, LimitError, load_picture, load_pictures
from aeedge_runtime.images.frame_limits import MOST_FRAMES, _gif_corners, _pages, check_tiles

HEAD = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\0\0"
DISPOSED = b"!\xf9\x04" + bytes([2 << 2, 0, 0, 0]) + b"\0"


def gif_frame(side=1):
    return b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0"


def many_pages(count, tags=0, *, big=False):
    """A TIFF file of empty directories with room for tags; the last leads back to the first."""
    number, place, size, first = ("Q", "Q", 20, 16) if big else ("H", "I", 12, 8)
    step = struct.calcsize("<" + number) + tags * size + struct.calcsize("<" + place)
    header = b"II" + (struct.pack("<HHHQ", 43, 8, 0, first) if big else struct.pack("<HI", 42, first))
    pages = b"".join(
        struct.pack("<" + number, tags)
        + bytes(tags * size)
        + struct.pack("<" + place, first + (page + 1) % count * step)
        for page in range(count)
    )
    return header + pages


@pytest.mark.parametrize("big", [False, True])
def test_pages_are_counted_once_each(big):
    assert _pages(BytesIO(many_pages(7, 3, big=big)), "x").count == 7
    assert _pages(BytesIO(many_pages(7, 3, big=big)[:60]), "x").count in (1, 2, 3)  # what is there
    assert _pages(BytesIO(b"II*\0"), "x").count == 0


def test_tags_without_end_are_refused_at_once():
    """Directories may overlap, so that a small file has any number of tags: Pillow took an hour for such a one."""
    start = time.monotonic()
    with pytest.raises(LimitError, match="x: more than 200000 tags, which is the limit; split the file"):
        _pages(BytesIO(many_pages(5, 50_000)), "x")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_corners_and_counts_are_those_of_pillow(kind):
    frames = [Image.new("RGB", (9, 7), color) for color in ("red", "lime", "blue", "white")]
    buffer = BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert len(list(load_pictures(buffer.getvalue()))) == Image.open(buffer).n_frames == 4
    if kind == "GIF":
        assert _gif_corners(buffer.getvalue())[0] == (9, 7)


def test_a_gif_with_comments_stray_bytes_and_color_tables():
    comment = b"!\xfe\x05hello\0"
    table = b"," + struct.pack("<HHHHB", 1, 2, 3, 4, 0x80 | 1) + bytes(12) + b"\x02\x02\x44\x01\0"
    data = HEAD + comment + gif_frame() + b"\xee\xee" + comment + table + gif_frame() + b";" + gif_frame()
    assert _gif_corners(data) == [(1, 1), (4, 6), (1, 1)]
    for size in range(len(data)):
        assert len(_gif_corners(data[:size])) <= 3


def test_a_frame_that_grows_the_picture_is_refused_before_it_is_made():
    data = HEAD + DISPOSED + gif_frame() + DISPOSED + gif_frame(13_000) + gif_frame() + b";"
    with pytest.raises(LimitError, match="3 frames have 507000000 pixels, the limit is 1000"):
        next(load_pictures(data, max_pixels=1000))


def test_frames_without_end_are_refused_in_every_kind():
    data = HEAD + gif_frame() * (MOST_FRAMES + 1) + b";"
    with pytest.raises(LimitError, match="more than 10000 frames, which is the limit; split the file"):
        next(load_pictures(data))
    assert load_picture(data).notes[-1] == "the first of several frames was taken"


def test_a_gif_whose_last_frame_is_cut_short_is_damaged():
    frames = [Image.new("L", (40, 40), shade) for shade in (0, 200)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="damaged or cut short"):
        list(load_pictures(buffer.getvalue()[:-12]))


def tiled(side, *, samples=1):
    """A TIFF file of one pixel in a tile of `side` x `side`."""
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 277: samples, 322: side, 323: side, 324: 8, 325: 2}
    lines = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 10) + b"\x77\0" + struct.pack("<H", len(tags)) + lines + bytes(4)


def test_tiles_of_any_size_are_not_made_for_a_small_image():
    with pytest.raises(LimitError, match="tiles of 46000x46000 have more pixels than the limit of 1000"):
        load_picture(tiled(46_000), max_pixels=1000)
    with contextlib.suppress(ImageError):  # there is one byte of it
        load_picture(tiled(4096), max_pixels=1000)
    with pytest.raises(ImageError, match="damaged"):
        check_tiles({322: (1, 2), 323: 3}, 1000, "x")


def test_a_jpeg_of_many_scans_is_refused():
    """Each scan goes through the whole image: 124 kB took seven seconds."""
    buffer = BytesIO()
    Image.linear_gradient("L").resize((200, 200)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    assert load_picture(data).pixels.shape == (200, 200, 1)
    last = data.rindex(b"\xff\xda")
    many = data[:-2] + data[last:-2] * 101 + data[-2:]
    for read in (load_picture, lambda data: next(load_pictures(data))):
        with pytest.raises(LimitError, match=r"a JPEG of 1\d\d scans, the limit is 100"):
            read(many)


def test_frames_whose_sizes_no_file_tells_before_have_one_limit_too():
    frames = [Image.new("RGB", (side, side)) for side in (8, 40, 40)]
    buffer = BytesIO()
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:])
    assert [frame.pixels.shape[0] for frame in load_pictures(buffer.getvalue())] == [8, 40, 40]
    with pytest.raises(LimitError, match="3 frames have 3264 pixels, the limit is 3263"):
        list(load_pictures(buffer.getvalue(), max_pixels=3263))


def test_pages_are_read_in_a_time_that_grows_with_their_number():
    pages = [Image.new("L", (1, 1)) for _ in range(2000)]
    buffer = BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], description="each has one")
    start = time.monotonic()
    assert sum(frame.exif is not None for frame in load_pictures(buffer.getvalue())) == 2000
    assert time.monotonic() - start < 10  # half a second on a quiet machine; 2 s more for each walk to a page
