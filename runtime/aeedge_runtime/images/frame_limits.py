"""Limits of frames, tiles and scans of a file, checked before any of it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ImageError, LimitError
from .tiff import Directories

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FRAMES = 10_000
"""Frames or pages of a file: Pillow compares the offset of each TIFF page with those of all earlier ones."""

MOST_TAGS = 200_000
"""Entries of all directories of a TIFF together: directories may overlap, and Pillow reads each several times."""

MOST_TILE_PIXELS = 1 << 24
"""Pixels of a tile, whatever the image's limit: 4096 x 4096."""

MOST_SCANS = 100
"""Scans of a progressive JPEG; usual ones have ten."""

WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT = 256, 257, 322, 323
"""TIFF tags."""

START_OF_SCAN = b"\xff\xda"

GIF_IMAGE, GIF_EXTENSION, GIF_END = b",!;"


@dataclass(frozen=True)
class Survey:
    """What a file says about its frames.

    Attributes:
        count: number of frames.
        pixels: pixels of all frames; if only the size of the first is known, as if all had that size.
        directories: offsets of the directories of a TIFF file's pages.
    """

    count: int
    pixels: int
    directories: tuple[int, ...] = ()


def survey(image: Image, file: BinaryIO, name: str) -> Survey:
    """Return what an opened file says about its frames.

    Args:
        image: the file, opened by Pillow.
        file: open file; its read position is restored.
        name: name of the file in messages.

    Raises:
        LimitError: more frames than MOST_FRAMES, or more tags than MOST_TAGS.
    """
    width, height = image.size
    position = file.tell()
    try:
        if image.format == "TIFF":
            found = _pages(file, name)
        elif image.format == "GIF":
            file.seek(0)
            corners = [(width, height), *_gif_corners(file.read())]
            canvas = max(right for right, _ in corners) * max(low for _, low in corners)
            found = Survey(len(corners) - 1, (len(corners) - 1) * canvas)
        else:
            count = int(getattr(image, "n_frames", 1))
            found = Survey(count, count * width * height)
    finally:
        file.seek(position)
    if found.count > MOST_FRAMES:
        raise LimitError(f"{name}: more than {MOST_FRAMES} frames, which is the limit; split the file")
    return found if found.count else Survey(1, width * height)


def _pages(file: BinaryIO, name: str) -> Survey:
    """Survey the pages of a TIFF file by the widths and heights in their directories."""
    directories: list[int] = []
    tags = pixels = 0
    with suppress(ValueError):  # cut short: Pillow reports it, or reads what is there
        read = Directories(file)
        for directory in islice(read.chain(), MOST_FRAMES + 1):
            tags += read.count(directory)
            if tags > MOST_TAGS:
                break
            directories.append(directory)
            pixels += _pixels(read, directory)
    if tags > MOST_TAGS:
        raise LimitError(f"{name}: more than {MOST_TAGS} tags, which is the limit; split the file")
    return Survey(len(directories), pixels, tuple(directories))


def _pixels(read: Directories, directory: int) -> int:
    sides = [read.number(entry) for entry in read.entries(directory) if entry.tag in (WIDTH, HEIGHT)]
    return sides[0] * sides[1] if len(sides) == 2 else 0


def check_tiles(tags: Mapping[int, Any], max_pixels: int, name: str) -> None:
    """Refuse tiles of a TIFF page that would take more memory than the page, because tiles are decoded whole.

    Raises:
        LimitError: a tile has too many pixels.
    """
    sides = tags.get(TILE_WIDTH, 0), tags.get(TILE_HEIGHT, 0)
    if not all(isinstance(side, int) for side in sides):
        raise ImageError(f"{name}: damaged (tiles of {sides[0]!r:.40} by {sides[1]!r:.40})")
    if sides[0] * sides[1] > max(max_pixels, MOST_TILE_PIXELS):
        raise LimitError(
            f"{name}: tiles of {sides[0]}x{sides[1]} have more pixels than the limit of {max_pixels}; "
            "write the file with smaller ones"
        )


def check_scans(image: Image, file: BinaryIO, name: str) -> None:
    """Refuse a JPEG file with very many scans: each one costs a pass over the whole image.

    Raises:
        LimitError: more scans than MOST_SCANS for each of its images.
    """
    if image.format not in ("JPEG", "MPO") or not image.info.get("progressive"):
        return
    position, scans, end = file.tell(), 0, b""
    file.seek(0)
    while part := file.read(1 << 20):
        scans += (end + part).count(START_OF_SCAN)
        end = part[-1:]
    file.seek(position)
    most = MOST_SCANS * int(getattr(image, "n_frames", 1))
    if scans > most:
        raise LimitError(f"{name}: a JPEG of {scans} scans, the limit is {most}; save it as a baseline JPEG")


def _gif_corners(data: bytes) -> list[tuple[int, int]]:
    """Return the lower right corner of each frame of a GIF file, from its image descriptors."""
    corners: list[tuple[int, int]] = []
    try:
        offset = 13 + _colors(data[10])
        while data[offset] != GIF_END and len(corners) <= MOST_FRAMES:
            kind, offset = data[offset], offset + 1
            if kind == GIF_IMAGE:
                left, top, width, height, flags = struct.unpack_from("<HHHHB", data, offset)
                corners.append((left + width, top + height))
                offset += 9 + _colors(flags)
            elif kind != GIF_EXTENSION:
                continue  # stray bytes are skipped, as Pillow does
            offset += 1  # the size of a code, or the label
            while data[offset]:
                offset += data[offset] + 1
            offset += 1
    except (IndexError, struct.error):  # cut short: Pillow reports it, or reads what is there
        pass
    return corners


def _colors(flags: int) -> int:
    """Return the size of a color table in bytes, 0 without one."""
    return 3 << ((flags & 7) + 1) if flags & 128 else 0
