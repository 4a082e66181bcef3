"""The checkerboard: which positions of a chunk each of the two passes over a group of channels codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats


class Squares:
    """Every second position of a chunk's planes, like the squares of one color of a checkerboard, or all positions.

    Args:
        rows: rows of the chunk.
        width: columns of the chunk.
        parity: parity of row + column, counted from the chunk's first row; None for all positions.
    """

    def __init__(self, rows: int, width: int, parity: int | None) -> None:
        self._size = rows, width
        self._parity = parity

    def positions(self) -> NDArray[np.int64]:
        """Return row * width + column of every position, int64 [P], ascending: the coding order within a plane."""
        rows, width = self._size
        if self._parity is None:
            return np.arange(rows * width)
        return np.flatnonzero((np.arange(rows)[:, None] + np.arange(width)) % 2 == self._parity)

    def ranks(self) -> NDArray[np.int64]:
        """Return the rank of each position of a plane among these, P for the others, int64 [rows, width]."""
        positions = self.positions()
        found = np.full(self._size, len(positions), np.int64)
        found.ravel()[positions] = np.arange(len(positions))
        return found

    def empty(self, count: int, channels: int) -> Floats:
        """Return planes to fill, float32 [count, channels, rows, width]."""
        return np.empty((count, channels, *self._size), np.float32)

    def take(self, planes: Floats) -> Floats:
        """Copy these positions of `[n, c, rows, width]`, in C order, as `[n, c, P]`."""
        count, channels, rows, width = planes.shape
        if self._parity is None or width % 2:  # with an odd width, the pattern continues from one row into the next
            return np.ascontiguousarray(self._flat(planes))
        found = np.empty((count, channels, rows, width // 2), np.float32)
        for row in range(2):
            found[:, :, row::2] = self._of_rows(planes, row)
        return found.reshape(count, channels, -1)

    def put(self, planes: Floats, values: Floats) -> None:
        """Fill these positions of contiguous `planes` with what `take` would give."""
        count, channels, rows, width = planes.shape
        if self._parity is None or width % 2:
            self._flat(planes)[:] = values
            return
        parts = values.reshape(count, channels, rows, width // 2)
        for row in range(2):
            self._of_rows(planes, row)[:] = parts[:, :, row::2]

    def _flat(self, planes: Floats) -> Floats:
        flat = planes.reshape(*planes.shape[:2], -1)
        return flat if self._parity is None else flat[:, :, self._parity :: 2]

    def _of_rows(self, planes: Floats, row: int) -> Floats:
        """Return a view of these positions in every second row from `row`."""
        return planes[:, :, row::2, (row + (self._parity or 0)) % 2 :: 2]
