"""How many frames a file has and how large they get, found without decoding one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from .errors import LimitError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FRAMES = 10_000
"""Frames or pages of a file: Pillow compares the place of each page of a TIFF with those of all before."""

MOST_TAGS = 200_000
"""Entries of all directories of a TIFF together: directories may overlap, and Pillow reads each several times."""


BIG_TIFF = 43
"""Version in the header of a TIFF file whose places have eight bytes."""

GIF_IMAGE, GIF_EXTENSION, GIF_END = b",!;"


def survey(image: Image, file: BinaryIO, name: str) -> tuple[int, int, int]:
    """Return the frames of an opened file, and rows and columns of the largest, as far as that is written anywhere.

    Args:
        image: what Pillow made of the file.
        file: the file; where it stands is not changed.
        name: what to call it.

    Raises:
        LimitError: more frames than MOST_FRAMES, or more tags than MOST_TAGS.
    """
    width, height = image.size
    if image.format == "TIFF":
        count = _count_pages(_read(file), name)
    elif image.format == "GIF":
        corners = [(width, height), *_gif_corners(_read(file))]
        width, height, count = max(right for right, _ in corners), max(low for _, low in corners), len(corners) - 1
    else:
        count = int(getattr(image, "n_frames", 1))
    if count > MOST_FRAMES:
        raise LimitError(f"{name}: more than {MOST_FRAMES} frames, which is the limit; split the file")
    return max(count, 1), height, width


def _read(file: BinaryIO) -> bytes:
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data


def _count_pages(data: bytes, name: str) -> int:
    """Directories of a TIFF file: each leads to the next, the last to nothing or to one that was there already."""
    order = "<" if data[:2] == b"II" else ">"
    wide = struct.unpack_from(order + "H", data, 2)[0] == BIG_TIFF
    number, place, size = ("Q", "Q", 20) if wide else ("H", "I", 12)
    seen: set[int] = set()
    tags = 0
    try:
        (next_one,) = struct.unpack_from(order + place, data, 8 if wide else 4)
        while next_one and next_one not in seen and len(seen) <= MOST_FRAMES:
            seen.add(next_one)
            (count,) = struct.unpack_from(order + number, data, next_one)
            tags += count
            if tags > MOST_TAGS:
                raise LimitError(f"{name}: more than {MOST_TAGS} tags, which is the limit; split the file")
            (next_one,) = struct.unpack_from(order + place, data, next_one + struct.calcsize(number) + count * size)
    except (struct.error, OverflowError):  # cut short: Pillow says so, or takes what is there
        pass
    return len(seen)


def _gif_corners(data: bytes) -> list[tuple[int, int]]:
    """Lower right corner of each frame of a GIF file: of its image descriptors, found from block to block."""
    corners: list[tuple[int, int]] = []
    try:
        place = 13 + _colours(data[10])
        while data[place] != GIF_END and len(corners) <= MOST_FRAMES:
            kind, place = data[place], place + 1
            if kind == GIF_IMAGE:
                left, top, width, height, flags = struct.unpack_from("<HHHHB", data, place)
                corners.append((left + width, top + height))
                place += 9 + _colours(flags)
            elif kind != GIF_EXTENSION:
                continue  # stray bytes are skipped, as Pillow does
            place += 1  # the size of a code, or the label
            while data[place]:
                place += data[place] + 1
            place += 1
    except (IndexError, struct.error):  # cut short: Pillow says so, or takes what is there
        pass
    return corners


def _colours(flags: int) -> int:
    """Bytes of a colour table, if there is one."""
    return 3 << ((flags & 7) + 1) if flags & 128 else 0
