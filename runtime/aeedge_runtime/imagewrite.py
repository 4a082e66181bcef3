"""Pictures out: PNG, JPEG or WebP by suffix, with alpha, ICC profile and EXIF where the format has them."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError, ImageError
from .files import atomic_write
from .remarks import remark

if TYPE_CHECKING:
    from .image import Picture

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "quality": 50, "method": 2, "exact": True},
}
_MAX_OPTIMISED = 1 << 24  # pixels of a JPEG with Huffman tables of its own, which take all coefficients in memory
_MAX_JPEG_EXIF = 65_527  # bytes in one APP1 segment, less its length and prefix


def save_picture(picture: Picture, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes a picture under its final name, complete or not at all. What the format cannot hold is warned about.

    Args:
        picture: what to write.
        path: ends in .png, .jpg, .jpeg (quality 95) or .webp (lossless).
        overwrite: replace an existing file.

    Raises:
        ArgumentError: another suffix.
        ImageError: the format cannot hold an image of this size.
        FileExistsError: the file exists and `overwrite` is false.
        OSError: it cannot be written.
    """
    data, notes = picture_bytes(picture, Path(path).suffix)
    for note in notes:
        remark(f"{os.fspath(path)}: {note}", stacklevel=2)
    atomic_write(path, data, overwrite=overwrite)


def picture_bytes(picture: Picture, suffix: str) -> tuple[bytes, tuple[str, ...]]:
    """Bytes of an image file, and notes on what the format cannot hold.

    Raises:
        ArgumentError: a suffix other than those of FORMATS.
        ImageError: the format cannot hold an image of this size.
    """
    from PIL import Image

    kind = FORMATS.get(suffix.lower())
    if kind is None:
        raise ArgumentError(f"image suffix {suffix!r}: expected {', '.join(FORMATS)}")
    planes, notes = _planes(picture, kind)
    options: dict[str, Any] = dict(_OPTIONS[kind])
    if kind == "JPEG":
        options["optimize"] = planes.shape[0] * planes.shape[1] <= _MAX_OPTIMISED
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.exif and (kind != "JPEG" or len(picture.exif) <= _MAX_JPEG_EXIF):
        options["exif"] = b"Exif\x00\x00" + picture.exif
    elif picture.exif:
        notes = (*notes, f"EXIF of {len(picture.exif)} bytes was dropped: JPEG holds at most {_MAX_JPEG_EXIF}")
    buffer = BytesIO()
    try:
        Image.fromarray(planes).save(buffer, kind, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"{kind} cannot hold this picture ({error}); use .png") from error
    return buffer.getvalue(), notes


def _planes(picture: Picture, kind: str) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], tuple[str, ...]]:
    pixels = picture.pixels[..., :1] if picture.gray and picture.pixels.shape[2] == 3 else picture.pixels
    notes: tuple[str, ...] = ()
    if picture.alpha is not None and kind == "JPEG":
        notes = ("the alpha plane was dropped: JPEG has none; use .png or .webp",)
    elif picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[..., None]], axis=2)
    planes = np.ascontiguousarray(pixels)
    return planes[..., 0] if planes.shape[2] == 1 else planes, notes
