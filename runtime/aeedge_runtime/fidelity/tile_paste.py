"""Puts stored tiles, and the residual that bounds the error, into decoded images: a blob at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..arrays import Pixels
from ..coding.blocks import Canvas, PasteTarget
from ..profiling import advance, expect
from ..stream.tile_grid import Rectangle
from ..stream.tile_sections import Bound, TileBlobs
from .lossless import decode_blob

DecodeBlob = Callable[[bytes, int, int, int], Pixels]
"""From a blob, its rows, columns and channels to its pixels, uint8 [h, w, C]."""


def paste_tiles(
    tiles: TileBlobs, canvas: PasteTarget, alpha: Canvas | None = None, decode: DecodeBlob = decode_blob
) -> None:
    """Replace the pixels of stored tiles; blobs without any row of the canvas are not decoded.

    Args:
        tiles: from a stream.
        canvas: the decoded images, or a preview.
        alpha: their alpha, one channel, filled in where the blobs hold it.
        decode: decodes a blob, or knows it.

    Raises:
        StreamError: a blob is damaged or forged.
        BackendError: this Pillow cannot read it.
    """
    for part, pixels in _pieces(tiles, canvas.channels + int(tiles.alpha), canvas.rows, decode):
        canvas.paste(part.top, part.left, pixels[..., : canvas.channels])
        if tiles.alpha and alpha is not None:
            alpha.paste(part.top, part.left, pixels[..., canvas.channels :])


def add_residual(bound: Bound, canvas: Canvas, decode: DecodeBlob = decode_blob) -> None:
    """Add the residual of a bound, if there is one, to decoded images; errors as `paste_tiles`."""
    if bound.residual is None:
        return
    for part, samples in _pieces(bound.residual, canvas.channels, canvas.rows, decode):
        canvas.add(part.top, part.left, samples.view(np.int8).astype(np.int32) * bound.step)


def _pieces(tiles: TileBlobs, channels: int, rows: range, decode: DecodeBlob) -> Iterator[tuple[Rectangle, Pixels]]:
    """Yield the rectangles of pixels that are held, each with its pixels, uint8 [h, w, C].

    Args:
        tiles: what is held.
        channels: of the blobs.
        rows: pixel rows, counted over all images; blobs that hold none of them are left out.
        decode: decodes a blob.
    """
    grid = tiles.grid
    placed = [(box, grid.pixels(box), blob) for box, blob in zip(tiles.boxes(), tiles.blobs, strict=True)]
    needed = [entry for entry in placed if entry[1].top < rows.stop and rows.start < entry[1].bottom]
    expect(len(needed))
    for box, place, blob in needed:
        pixels = decode(blob, place.height, place.width, channels)
        advance(1)
        held = tiles.held[box.top : box.bottom, box.left : box.right]
        if held.all():
            yield place, pixels
            continue
        for row, left, right in _runs(held):
            part = grid.pixels(Rectangle(box.top + row, box.top + row + 1, box.left + left, box.left + right))
            inside = slice(part.top - place.top, part.bottom - place.top)
            yield part, pixels[inside, part.left - place.left : part.right - place.left]


def _runs(held: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first and end column of every run of held tiles."""
    framed = np.pad(held, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(framed, axis=1)
    starts, ends = np.argwhere(change == 1).tolist(), np.argwhere(change == -1).tolist()
    for (row, left), (_, right) in zip(starts, ends, strict=True):
        yield row, left, right
