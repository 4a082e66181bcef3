"""Puts stored tiles, and the residual that bounds the error, into decoded images: a blob at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..arrays import Pixels
from ..coding.blocks import Canvas, PasteTarget
from ..stream.tile_grid import Rectangle
from ..stream.tile_sections import Bound, TileBlobs
from .lossless import decode_blob


def paste_tiles(tiles: TileBlobs, canvas: PasteTarget, alpha: Pixels | None = None) -> None:
    """Replace the pixels of stored tiles.

    Args:
        tiles: from a stream.
        canvas: the decoded images, or a preview.
        alpha: their alpha, uint8 [N, H, W], filled in where the blobs hold it.

    Raises:
        StreamError: a blob is damaged or forged.
        BackendError: this Pillow cannot read it.
    """
    channels = canvas.shape[3]
    tall = None if alpha is None else alpha.reshape(-1, alpha.shape[2])
    for part, pixels in _pieces(tiles, channels + int(tiles.alpha)):
        canvas.paste(part.top, part.left, pixels[..., :channels])
        if tiles.alpha and tall is not None:
            tall[part.top : part.bottom, part.left : part.right] = pixels[..., channels]


def add_residual(bound: Bound, canvas: Canvas) -> None:
    """Add the residual of a bound, if there is one, to decoded images; errors as `paste_tiles`."""
    if bound.residual is None:
        return
    for part, samples in _pieces(bound.residual, canvas.shape[3]):
        canvas.add(part.top, part.left, samples.view(np.int8).astype(np.int32) * bound.step)


def _pieces(tiles: TileBlobs, channels: int) -> Iterator[tuple[Rectangle, Pixels]]:
    """Rectangles of pixels that are held, rows counted over all images, each with its pixels, uint8 [h, w, C]."""
    grid = tiles.grid
    for box, blob in zip(tiles.boxes(), tiles.blobs, strict=True):
        place = grid.pixels(box)
        pixels = decode_blob(blob, place.height, place.width, channels)
        held = tiles.held[box.top : box.bottom, box.left : box.right]
        if held.all():
            yield place, pixels
            continue
        for row, left, right in _runs(held):
            part = grid.pixels(Rectangle(box.top + row, box.top + row + 1, box.left + left, box.left + right))
            rows = slice(part.top - place.top, part.bottom - place.top)
            yield part, pixels[rows, part.left - place.left : part.right - place.left]


def _runs(held: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first and end column of every run of held tiles."""
    framed = np.pad(held, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(framed, axis=1)
    starts, ends = np.argwhere(change == 1).tolist(), np.argwhere(change == -1).tolist()
    for (row, left), (_, right) in zip(starts, ends, strict=True):
        yield row, left, right
