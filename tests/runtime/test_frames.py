"""Frames are counted, and their size is known, before one is decoded."""

import struct
import time
from io import BytesIO

import pytest
from PIL import Image

from aeedge_runtime import ImageError, LimitError, load_frames, load_image
from aeedge_runtime.frames import MOST_FRAMES, _count_pages, _gif_corners

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
    assert _count_pages(many_pages(7, 3, big=big), "x") == 7
    assert _count_pages(many_pages(7, 3, big=big)[:60], "x") in (1, 2, 3)  # what is there
    assert _count_pages(b"II*\0", "x") == 0


def test_tags_without_end_are_refused_at_once():
    """Directories may overlap, so that a small file has any number of tags: Pillow took an hour for such a one."""
    start = time.monotonic()
    with pytest.raises(LimitError, match="x: more than 200000 tags, which is the limit; split the file"):
        _count_pages(many_pages(5, 50_000), "x")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_corners_and_counts_are_those_of_pillow(kind):
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue", "white")]
    buffer = BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert len(list(load_frames(buffer.getvalue()))) == Image.open(buffer).n_frames == 4
    if kind == "GIF":
        assert _gif_corners(buffer.getvalue())[0] == (9, 7)


def test_a_gif_with_comments_stray_bytes_and_colour_tables():
    comment = b"!\xfe\x05hello\0"
    table = b"," + struct.pack("<HHHHB", 1, 2, 3, 4, 0x80 | 1) + bytes(12) + b"\x02\x02\x44\x01\0"
    data = HEAD + comment + gif_frame() + b"\xee\xee" + comment + table + gif_frame() + b";" + gif_frame()
    assert _gif_corners(data) == [(1, 1), (4, 6), (1, 1)]
    for size in range(len(data)):
        assert len(_gif_corners(data[:size])) <= 3


def test_a_frame_that_grows_the_picture_is_refused_before_it_is_made():
    data = HEAD + DISPOSED + gif_frame() + DISPOSED + gif_frame(13_000) + gif_frame() + b";"
    with pytest.raises(LimitError, match="3 frames of 13000x13000 have 507000000 pixels, the limit is 1000"):
        next(load_frames(data, max_pixels=1000))


def test_frames_without_end_are_refused_in_every_kind():
    data = HEAD + gif_frame() * (MOST_FRAMES + 1) + b";"
    with pytest.raises(LimitError, match="more than 10000 frames, which is the limit; split the file"):
        next(load_frames(data))
    assert load_image(data).notes[-1] == "the first of several frames was taken"


def test_a_gif_whose_last_frame_is_cut_short_is_damaged():
    frames = [Image.new("L", (40, 40), shade) for shade in (0, 200)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="damaged or cut short"):
        list(load_frames(buffer.getvalue()[:-12]))
