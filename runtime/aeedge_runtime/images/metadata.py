"""Metadata of an opened image: ICC profile, EXIF block and orientation, from whatever part of the file holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from itertools import islice
from typing import Any, BinaryIO

from PIL import Image

from ..limits import MAX_SECTION_BYTES
from .tiff import DESCRIPTIVE, EXIF_PREFIX, FOLDERS, ORIENTATION, Directories, of_tiff, upright

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation -> how the image is turned upright."""


def read_icc(image: Image.Image, notes: list[str]) -> bytes | None:
    """Return the ICC profile of an image if it is of a plausible size."""
    icc = image.info.get("icc_profile")
    if not isinstance(icc, bytes) or not icc:
        return None
    if not 128 <= len(icc) <= MAX_SECTION_BYTES:
        notes.append(f"the ICC profile of {len(icc)} bytes was dropped: expected 128 bytes to 16 MiB")
        return None
    return icc


def read_exif(image: Image.Image, notes: list[str]) -> tuple[int, bytes | None]:
    """Return the orientation, 1..8, and the EXIF block with orientation 1."""
    raw = image.info.get("exif") or _text_exif(image.info)
    raw = raw.removeprefix(EXIF_PREFIX) if isinstance(raw, bytes) else b""
    try:
        exif = image.getexif()
        turn = exif.get(ORIENTATION, 1)
        if raw and ORIENTATION not in exif:  # Pillow does not read all of those that are text
            turn = _loaded(raw).get(ORIENTATION, 1)
        if turn in TURNS and raw:
            raw = _upright(raw)
    except Exception:  # a damaged block raises struct.error, KeyError, SyntaxError and others; the pixels are good
        notes.append("the EXIF block is damaged and was dropped")
        return 1, None
    if len(raw) > MAX_SECTION_BYTES:
        notes.append(f"the EXIF block of {len(raw)} bytes was dropped: more than 16 MiB")
        return turn, None
    return turn, raw or None


def _text_exif(info: Mapping[Any, Any]) -> bytes | None:
    """Return the EXIF block that ImageMagick writes into a PNG: hexadecimal text after three lines of description."""
    for name in ("Raw profile type exif", "Raw profile type APP1"):
        text = info.get(name)
        if isinstance(text, str):
            with contextlib.suppress(ValueError):
                raw = bytes.fromhex("".join(text.split("\n")[3:]))
                if raw.startswith((EXIF_PREFIX, b"II*\0", b"MM\0*")):
                    return raw
    return None


def _loaded(raw: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(raw)
    return exif


def _upright(raw: bytes) -> bytes:
    """Return the block with orientation 1: changed in place or, if that is impossible, encoded again by Pillow."""
    try:
        return upright(raw)
    except ValueError:
        exif = _loaded(raw)
        if ORIENTATION in exif:
            del exif[ORIENTATION]
        return exif.tobytes().removeprefix(EXIF_PREFIX)


def read_tiff_exif(image: Image.Image, directory: int | None, notes: list[str]) -> bytes | None:
    """Return the photo tags of a TIFF file as an EXIF block. Call it before loading, which may close the file."""
    tags = tiff_tags(image)
    if not any(tag in tags for tag in DESCRIPTIVE | FOLDERS):
        return None
    file = image.fp  # type: ignore[attr-defined]  # an image of a file has one until it is closed
    try:
        if file is None:
            raise ValueError("their file is closed")
        position = file.tell()
        try:
            return of_tiff(file, _directory(file, image.tell()) if directory is None else directory)
        finally:
            file.seek(position)
    except (OSError, ValueError) as error:
        notes.append(f"the EXIF tags were dropped: {error}")
        return None


def _directory(file: BinaryIO, page: int) -> int | None:
    """Return the offset of the directory of a page of a TIFF file."""
    return next(islice(Directories(file).chain(), page, None), None)


def tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF page; none for other images."""
    tags: Mapping[int, Any] = image.tag_v2 if image.format == "TIFF" and hasattr(image, "tag_v2") else {}
    return tags
