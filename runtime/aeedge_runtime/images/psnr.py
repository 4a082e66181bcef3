"""Squared error and PSNR of decoded images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..arrays import Pixels
from ..errors import ArgumentError
from ..limits import SLAB_PIXELS


def psnr_db(images: Pixels, decoded: Pixels) -> float:
    """Return the PSNR in dB, the squared error pooled over all values of 0..255; infinity where nothing differs.

    Raises:
        ArgumentError: arrays of different shapes.
    """
    if images.shape != decoded.shape:
        raise ArgumentError(f"psnr_db: found shapes {images.shape} and {decoded.shape}, expected the same")
    total = squared_error(images, decoded)
    return float("inf") if total == 0 else float(10 * np.log10(255**2 * images.size / total))


def squared_error(images: Pixels, decoded: Pixels) -> int:
    """Return the squared error of images, uint8 [N, ...], summed over all values."""
    return sum(_squared_error(*rows) for pair in zip(images, decoded, strict=True) for rows in _slabs(*pair))


def _slabs(image: Pixels, decoded: Pixels) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield the same rows of both, few enough that their differences take little memory."""
    rows = max(SLAB_PIXELS // image.shape[1], 1)
    for first in range(0, len(image), rows):
        yield image[first : first + rows], decoded[first : first + rows]


def _squared_error(image: Pixels, decoded: Pixels) -> int:
    difference = image.astype(np.int32) - decoded
    return int(np.square(difference).sum(dtype=np.int64))
