"""One image in memory: the `Picture`, checks of its parts, and the conversion to the channels of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Pixels
from ..errors import ArgumentError, ImageError, LimitError
from ..limits import MAX_DIMENSION, SLAB_PIXELS

LUMA = (19595, 38470, 7471)
"""ITU-R 601 luma of R, G, B in 1/65536, as Pillow has it."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, ready for a codec or a file.

    Attributes:
        pixels: uint8 [H, W, C], C is 1 or 3.
        alpha: uint8 [H, W], or None.
        icc: ICC profile that fits the pixels, or None.
        exif: EXIF block (TIFF bytes, orientation 1), or None.
        gray: whether the source was gray, also where `pixels` repeat it as RGB.
        notes: what loading changed or dropped, one sentence each.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    gray: bool = False
    notes: tuple[str, ...] = ()


def check_picture(picture: Picture, max_pixels: int = MAX_DIMENSION**2) -> None:
    """Refuse a Picture whose parts do not fit: a stream with an alpha plane of another size could not be opened.

    Raises:
        ArgumentError: a field of another type or shape.
        LimitError: too many pixels.
    """
    pixels, alpha = picture.pixels, picture.alpha
    for name, value, kind in (
        ("pixels", pixels, np.ndarray),
        ("alpha", alpha, np.ndarray | None),
        ("icc", picture.icc, bytes | None),
        ("exif", picture.exif, bytes | None),
    ):
        if not isinstance(value, kind):
            raise ArgumentError(f"Picture: {name} is {type(value).__name__}, expected an array, or bytes for metadata")
    check_array(pixels, "[H, W, C]")
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ArgumentError(f"Picture: pixels are {pixels.shape}, expected [H, W, C] with C of 1 or 3")
    check_size(pixels.shape[1], pixels.shape[0], max_pixels, "Picture")
    if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != pixels.shape[:2]):
        raise ArgumentError(f"Picture: alpha is {alpha.dtype} {alpha.shape}, expected uint8 {pixels.shape[:2]}")


def match_channels(picture: Picture, channels: int | None) -> Picture:
    """Return a Picture with the channels that a model takes, and a note if that changes it."""
    found = picture.pixels.shape[2]
    if channels not in (None, 1, 3):
        raise ArgumentError(f"channels: found {channels!r}, expected 1 or 3, or None to keep the image as it is")
    if channels in (None, found):
        return picture
    if channels == 3:
        note = "a gray image in a color model: coded as RGB, written back as gray"
        repeated = np.broadcast_to(picture.pixels, (*picture.pixels.shape[:2], 3))  # a view, read-only
        return replace(picture, pixels=repeated, gray=True, notes=(*picture.notes, note))
    notes = (*picture.notes, "color was reduced to gray: this model takes gray images")
    if picture.icc:
        notes = (*notes, "the ICC profile was dropped: it describes color, and the image is gray now")
    return replace(picture, pixels=to_gray(picture.pixels), icc=None, gray=True, notes=notes)


def to_gray(pixels: Pixels) -> Pixels:
    """Return the luma, uint8 [..., 1], of uint8 [..., 3], (19595 R + 38470 G + 7471 B + 32768) >> 16; gray is kept."""
    if pixels.shape[-1] == 1:
        return pixels
    flat = pixels.reshape(-1, 3)
    gray = np.empty((len(flat), 1), np.uint8)
    for first in range(0, len(flat), SLAB_PIXELS):
        gray[first : first + SLAB_PIXELS] = _luma(flat[first : first + SLAB_PIXELS])
    return gray.reshape(*pixels.shape[:-1], 1)


def _luma(pixels: Pixels) -> Pixels:
    # NumPy before 2.0 gives uint8 times np.uint32(c) the type that c fits into, and the sum would overflow.
    total = np.multiply(pixels[..., 0], LUMA[0], dtype=np.uint32)
    total += np.multiply(pixels[..., 1], LUMA[1], dtype=np.uint32)
    total += np.multiply(pixels[..., 2], LUMA[2], dtype=np.uint32)
    total += np.uint32(1 << 15)
    return (total >> 16).astype(np.uint8)[..., None]


def check_array(array: NDArray[Any], dimensions: str) -> None:
    """Check dtype and sizes of an image array.

    Raises:
        ArgumentError: the message names what was found.
    """
    if array.dtype != np.uint8:
        raise ArgumentError(f"image array: dtype is {array.dtype}, expected uint8 (0..255); convert it first")
    if not array.size:
        raise ArgumentError(f"image array: shape is {array.shape}, expected {dimensions} with at least one pixel")


def check_size(width: int, height: int, max_pixels: int, name: str = "image") -> None:
    """Refuse an image before its pixels are decoded.

    Raises:
        ImageError: no pixels.
        LimitError: too many.
    """
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width}x{height}, expected at least one pixel")
    if width * height > max_pixels:
        raise LimitError(
            f"{name}: {width}x{height} is {width * height} pixels, the limit is {max_pixels}; "
            "use a smaller image, or raise max_pixels (of compress and decompress: --max-pixels)"
        )
    if max(width, height) > MAX_DIMENSION:
        raise LimitError(f"{name}: {width}x{height}, a side is longer than {MAX_DIMENSION} pixels; cut the image")


def split_alpha(planes: Pixels) -> tuple[Pixels, Pixels | None]:
    """Return color and alpha of [..., C]: the last of 2 or 4 channels is alpha."""
    if planes.shape[-1] in (2, 4):
        return planes[..., :-1], planes[..., -1]
    return planes, None
