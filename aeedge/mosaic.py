"""Arranges images of one size on one canvas, and takes them apart again."""

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def mosaic(images: Pixels, columns: int | None = None, *, gap: int = 0, background: int = 255) -> Pixels:
    """Return images side by side in rows of `columns`, as one image.

    Args:
        images: uint8 [N, H, W, C].
        columns: images per row, by default for about as many rows; the last row is filled up with the background.
        gap: rows and columns of background between neighbors.
        background: sample value of gaps and empty cells.
    """
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + gap, width + gap, channels), background, np.uint8)
    cells[:count, :height, :width] = images
    canvas = cells.reshape(rows, columns, height + gap, width + gap, channels).transpose(0, 2, 1, 3, 4)
    canvas = canvas.reshape(rows * (height + gap), columns * (width + gap), channels)
    return np.ascontiguousarray(canvas[: canvas.shape[0] - gap, : canvas.shape[1] - gap])


def split_mosaic(canvas: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Undo `mosaic` without gaps, for images of a shape [N, H, W, C]."""
    count, height, width, channels = shape
    rows, columns = canvas.shape[0] // height, canvas.shape[1] // width
    cells = canvas.reshape(rows, height, columns, width, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(rows * columns, height, width, channels)[:count])


def enlarged(images: Pixels, factor: int) -> Pixels:
    """Return images, uint8 [..., H, W, C], with every pixel repeated `factor` times in both directions."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)
