"""Saving of images as PNG, JPEG or WebP by suffix, with alpha, ICC profile and EXIF if the format has them."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Pixels
from ..errors import ArgumentError, ImageError
from ..notices import notice
from ..remote import location, write_location
from .tiff import EXIF_PREFIX

if TYPE_CHECKING:
    from PIL.Image import Image

    from .picture import Picture


FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "quality": 50, "method": 2, "exact": True},
}
_MAX_OPTIMIZED = 1 << 24  # pixels of a JPEG with Huffman tables of its own, which take all coefficients in memory
_MAX_JPEG_EXIF = 65_533  # bytes of one APP1 segment, prefix included
_MAX_PNG_ICC = 1 << 20  # bytes of a profile that Pillow will inflate from a PNG


def save_picture(picture: Picture, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save an image completely or not at all, with a warning for what the format cannot hold.

    Args:
        picture: the image.
        path: path or URL, ends in .png, .jpg, .jpeg (quality 95) or .webp (lossless).
        overwrite: replace an existing file.

    Raises:
        ArgumentError: another suffix.
        ImageError: the format cannot hold an image of this size.
        FileExistsError: the file exists and `overwrite` is false.
        OSError: it cannot be written.
    """
    target = location(path)
    data, notes = picture_bytes(picture, target.suffix)
    for note in notes:
        notice(f"{os.fspath(path)}: {note}", stacklevel=2)
    write_location(target, data, overwrite=overwrite)


def picture_bytes(picture: Picture, suffix: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of an image file, and notes on what the format cannot hold; see `image_bytes`."""
    from .picture import Picture, check_picture

    check_suffix(suffix)
    if not isinstance(picture, Picture):
        raise ArgumentError(f"picture: found {type(picture).__name__}, expected a Picture, as load_picture returns")
    check_picture(picture)
    pixels = picture.pixels[..., :1] if picture.gray else picture.pixels
    return image_bytes(finished(pillow_image(pixels), picture.alpha, picture.icc, picture.exif), suffix)


def image_bytes(image: Image, suffix: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of an image file, and notes on what the format cannot hold.

    Args:
        image: gray or RGB, with alpha or without, as `finished` returns it.
        suffix: of the file, with its dot.

    Raises:
        ArgumentError: a suffix other than those of FORMATS.
        ImageError: the format cannot hold an image of this size.
    """
    kind, notes = check_suffix(suffix), []
    options: dict[str, Any] = dict(_OPTIONS[kind])
    icc, exif = image.info.get("icc_profile"), image.info.get("exif")
    if kind == "JPEG":
        options["optimize"] = image.width * image.height <= _MAX_OPTIMIZED
        if image.mode in ("LA", "RGBA"):
            image = image.convert(image.mode[:-1])
            notes.append("the alpha plane was dropped: JPEG has none; use .png or .webp")
        if exif and len(exif) > _MAX_JPEG_EXIF:
            notes.append(f"EXIF of {len(exif)} bytes was dropped: JPEG holds at most {_MAX_JPEG_EXIF}")
            exif = None
    if kind == "PNG" and icc and len(icc) > _MAX_PNG_ICC:
        notes.append(f"the ICC profile of {len(icc)} bytes was dropped: Pillow opens a PNG with at most {_MAX_PNG_ICC}")
        icc = None
    options["icc_profile"] = icc  # None as well, or Pillow would take the one in `info`
    if exif:
        options["exif"] = exif
    buffer = BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"{kind} cannot hold this image ({error}); use .png") from error
    return buffer.getvalue(), tuple(notes)


def pillow_image(pixels: Pixels) -> Image:
    """Return a PIL image of uint8 [H, W, 1 | 3]."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def finished(image: Image, alpha: Pixels | None, icc: bytes | None, exif: bytes | None) -> Image:
    """Add alpha, uint8 [H, W], and the ICC profile and EXIF in `info`, to an image and return it."""
    if alpha is not None:
        image.putalpha(pillow_image(alpha[..., None]))
    if icc:
        image.info["icc_profile"] = icc
    if exif:
        image.info["exif"] = EXIF_PREFIX + exif
    return image


def check_suffix(suffix: str) -> str:
    """Return the format of a suffix, or raise ArgumentError."""
    kind = FORMATS.get(suffix.lower())
    if kind is None:
        raise ArgumentError(f"image suffix {suffix!r}: expected {', '.join(FORMATS)}")
    return kind
