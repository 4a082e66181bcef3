"""The grid of tiles that may be stored losslessly, and the sheets that hold them: functions of the sizes alone.

Images of one size are stacked vertically, so tile rows are counted over all of them. A sheet is a rectangle of tiles
that one lossless image holds: small enough for WebP and for the memory of a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..limits import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, MAX_SHEET_TILES

TILE = 64
"""Rows and columns of a tile. With 32 the blob of a page is 1 to 4 % larger and photographs pay, with 128 tiles are too
coarse for text among photographs (benchmarks/any_picture.py)."""

Map = NDArray[np.bool_]


@dataclass(frozen=True)
class Rectangle:
    """Rows [top, bottom) and columns [left, right), of tiles or of pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


@dataclass(frozen=True)
class TileGrid:
    """Tiles of images of one size; a remainder of less than half a tile belongs to the tile before it.

    Attributes:
        count: images.
        height: rows of each in pixels.
        width: columns of each in pixels.
    """

    count: int
    height: int
    width: int

    @property
    def rows(self) -> int:
        """Tile rows of one image."""
        return _tiles(self.height)

    @property
    def columns(self) -> int:
        """Tile columns."""
        return _tiles(self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Tile rows of all images, and tile columns: the shape of a map of tiles."""
        return self.count * self.rows, self.columns

    @property
    def tiles(self) -> int:
        """Tiles of all images."""
        return self.count * self.rows * self.columns

    def pixels(self, tiles: Rectangle) -> Rectangle:
        """Return the pixels of a rectangle of tiles, rows counted over all images."""
        return Rectangle(
            self._row(tiles.top), self._row(tiles.bottom), self._column(tiles.left), self._column(tiles.right)
        )

    def row_edges(self) -> NDArray[np.int64]:
        """Return the first pixel row of every tile row of all images, int64 [shape[0]]."""
        starts = np.arange(self.rows, dtype=np.int64) * TILE
        return (np.arange(self.count, dtype=np.int64)[:, None] * self.height + starts).ravel()

    def column_edges(self) -> NDArray[np.int64]:
        """Return the first pixel column of every tile column, int64 [columns]."""
        return np.arange(self.columns, dtype=np.int64) * TILE

    def sheets(self) -> Iterator[Rectangle]:
        """Yield the sheets as rectangles of tiles, row by row."""
        rows, columns = self.shape
        wide = min(columns, MAX_SHEET_COLUMNS)
        high = min(MAX_SHEET_ROWS, MAX_SHEET_TILES // wide)
        for top in range(0, rows, high):
            for left in range(0, columns, wide):
                yield Rectangle(top, min(top + high, rows), left, min(left + wide, columns))

    def boxes(self, stored: Map) -> Iterator[Rectangle]:
        """Yield, for each sheet that has stored tiles, the smallest rectangle of tiles that holds them.

        Args:
            stored: bool [shape].
        """
        for sheet in self.sheets():
            part = stored[sheet.top : sheet.bottom, sheet.left : sheet.right]
            rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
            if len(rows):
                top, left = sheet.top + int(rows[0]), sheet.left + int(columns[0])
                yield Rectangle(top, sheet.top + int(rows[-1]) + 1, left, sheet.left + int(columns[-1]) + 1)

    def spread(self, held: Map, box: Rectangle) -> Map | None:
        """Return which pixels of a rectangle of tiles are of marked ones, bool [h, w]; None for all of them.

        Args:
            held: bool [shape], the marked tiles.
            box: the rectangle.
        """
        marked = held[box.top : box.bottom, box.left : box.right]
        if marked.all():
            return None
        heights = np.diff([self._row(row) for row in range(box.top, box.bottom + 1)])
        widths = np.diff([self._column(column) for column in range(box.left, box.right + 1)])
        return np.repeat(np.repeat(marked, heights, axis=0), widths, axis=1)

    def pixels_of(self, held: Map) -> Map:
        """Return which pixels are of marked tiles, bool [N, H, W]; `held` is bool [shape]."""
        mask = self.spread(held, Rectangle(0, self.shape[0], 0, self.columns))
        size = self.count, self.height, self.width
        return np.ones(size, np.bool_) if mask is None else mask.reshape(size)

    def tiles_of(self, marked: Map) -> Map:
        """Return which tiles have a marked pixel, bool [shape]; `marked` is bool [N, H, W]."""
        tall = marked.reshape(-1, self.width)
        across = np.logical_or.reduceat(tall, self.column_edges(), axis=1)
        return np.asarray(np.logical_or.reduceat(across, self.row_edges(), axis=0), np.bool_)

    def _row(self, row: int) -> int:
        image, row = divmod(row, self.rows)
        return image * self.height + row * TILE

    def _column(self, column: int) -> int:
        return self.width if column == self.columns else column * TILE


def _tiles(side: int) -> int:
    """Tiles along a side in pixels."""
    return max((side + TILE // 2) // TILE, 1)
