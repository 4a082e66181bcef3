"""Fills stored tiles smoothly, so that the network codes next to nothing where their pixels are known anyway.

The means of 8x8 cells are averaged into coarser and coarser cells, of known pixels only; from the coarsest on, unknown
cells take what surrounds them and are relaxed towards the mean of their neighbors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Pixels
from ..stream.tile_grid import TILE, Map, TileGrid

CELL = 8
"""Rows and columns of a cell in pixels; a tile has whole cells but at the image's end."""

RELAXATIONS = 8
"""Steps towards the mean of the neighbors on each level: more save no bytes."""


def fill_tiles(pixels: Pixels, stored: Map) -> Pixels:
    """Return images, uint8 [N, H, W, C], with stored tiles filled.

    Args:
        pixels: left as they are.
        stored: bool [tile rows of all images, tile columns].
    """
    grid = TileGrid(*pixels.shape[:3])
    masks = stored.reshape(grid.count, grid.rows, grid.columns)
    filled = pixels.copy()
    for image in np.flatnonzero(masks.any(axis=(1, 2))):
        _fill_image(filled[image], masks[image], grid)
    return filled


def _fill_image(pixels: Pixels, stored: Map, grid: TileGrid) -> None:
    cells = _cell_means(pixels)
    known = ~_per_cell(stored, grid, cells.shape[:2])
    if known.any():
        cells = _diffuse(cells, known)
    else:
        cells[:] = cells.mean(axis=(0, 1))
    columns = np.repeat(stored, np.diff(np.append(grid.column_edges(), grid.width)), axis=1)
    for row in np.flatnonzero(stored.any(axis=1)).tolist():
        top, bottom = row * TILE, grid.height if row == grid.rows - 1 else (row + 1) * TILE
        strip = _interpolated(cells, np.arange(top, bottom), grid.width)
        pixels[top:bottom][:, columns[row]] = np.rint(strip[:, columns[row]]).astype(np.uint8)


def _cell_means(pixels: Pixels) -> Floats:
    """Means of cells, float32 [ceil(H / 8), ceil(W / 8), C]; those at the end are of the pixels that are there."""
    height, width, _ = pixels.shape
    rows, columns = np.arange(0, height, CELL), np.arange(0, width, CELL)
    across = np.add.reduceat(pixels, columns, axis=1, dtype=np.float32)
    sums = np.add.reduceat(across, rows, axis=0, dtype=np.float32)
    sizes = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    return np.asarray(sums / sizes[..., None], np.float32)


def _per_cell(stored: Map, grid: TileGrid, shape: tuple[int, ...]) -> Map:
    """Whether a cell is in a stored tile, bool of the cells' shape."""
    rows = np.minimum(np.arange(shape[0]) * CELL // TILE, grid.rows - 1)
    columns = np.minimum(np.arange(shape[1]) * CELL // TILE, grid.columns - 1)
    return stored[rows][:, columns]


def _diffuse(cells: Floats, known: Map) -> Floats:
    """Cells with the unknown ones filled in."""
    if known.all():
        return cells
    weights = known[..., None].astype(np.float32)
    sums, sizes = _halved(cells * weights), _halved(weights)
    coarse = _diffuse(np.asarray(sums / np.maximum(sizes, 1), np.float32), sizes[..., 0] > 0)
    rows, columns = (np.arange(side) // 2 for side in known.shape)
    found = np.where(known[..., None], cells, coarse[rows][:, columns])
    for _ in range(RELAXATIONS):
        framed = np.pad(found, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = (framed[:-2, 1:-1] + framed[2:, 1:-1] + framed[1:-1, :-2] + framed[1:-1, 2:]) / 4
        found = np.where(known[..., None], cells, mean)
    return found


def _halved(cells: Floats) -> Floats:
    """Return the sums of 2x2 cells."""
    height, width, _ = cells.shape
    padded = np.pad(cells, ((0, height % 2), (0, width % 2), (0, 0)))
    pairs: Floats = padded[::2] + padded[1::2]
    return pairs[:, ::2] + pairs[:, 1::2]


def _interpolated(cells: Floats, rows: NDArray[np.int64], width: int) -> Floats:
    """Pixels of some rows, float32 [rows, W, C], linear between the centers of cells."""
    low, high, share = _between(rows, len(cells))
    across = cells[low] + (cells[high] - cells[low]) * share[:, None, None]
    low, high, share = _between(np.arange(width), cells.shape[1])
    strip: Floats = across[:, low] + (across[:, high] - across[:, low]) * share[:, None]
    return strip


def _between(pixels: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return the two cells whose centers enclose a pixel, and its distance from the first."""
    places = np.clip((pixels + 0.5) / CELL - 0.5, 0, cells - 1)
    low = np.minimum(places.astype(np.int64), max(cells - 2, 0))
    return low, np.minimum(low + 1, cells - 1), (places - low).astype(np.float32)
