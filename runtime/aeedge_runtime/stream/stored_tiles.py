"""Section 5 of a stream: which tiles are stored losslessly, and their blobs. FORMAT.md is its specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ..errors import StreamError, UnsupportedStreamError
from .container import Cursor, write_varint
from .tile_grid import Map, Rectangle, TileGrid

_FLAG_ALPHA = 1
_DAMAGED = "the stream is damaged or forged, get it again"


@dataclass(frozen=True, eq=False)
class StoredTiles:
    """Tiles of a stream that are kept losslessly.

    Attributes:
        grid: all tiles.
        stored: bool [grid.shape], at least one True.
        blobs: one for each of `grid.boxes(stored)`: the pixels of the box, of which those of stored tiles count.
        alpha: whether the blobs hold alpha, too; only where every tile is stored.
    """

    grid: TileGrid
    stored: Map
    blobs: tuple[bytes, ...]
    alpha: bool

    @property
    def tiles(self) -> int:
        """Number of stored tiles."""
        return int(np.count_nonzero(self.stored))

    @property
    def whole(self) -> bool:
        """Whether every tile is stored; then the stream has no symbols."""
        return self.tiles == self.grid.tiles

    def boxes(self) -> list[Rectangle]:
        """Return the rectangle of tiles of each blob."""
        return list(self.grid.boxes(self.stored))


def pack_tiles(tiles: StoredTiles) -> bytes:
    """Return the bytes of the section."""
    lengths = [len(blob) for blob in tiles.blobs[:-1]]
    head = bytes([_FLAG_ALPHA * tiles.alpha]) + b"".join(map(write_varint, [*_runs(tiles.stored), *lengths]))
    return b"".join([head, *tiles.blobs])


def unpack_tiles(data: bytes, grid: TileGrid) -> StoredTiles:
    """Return the tiles of a section of a stream whose size is within the limits.

    Raises:
        UnsupportedStreamError: a flag that this reader does not know.
        StreamError: damaged or forged.
    """
    flags = data[0]
    if flags & ~_FLAG_ALPHA:
        raise UnsupportedStreamError(f"stored tiles with unknown flags 0x{flags:02x}; update aeedge")
    cursor = Cursor(data, 1, len(data))
    stored = _read_runs(cursor, grid)
    count = sum(1 for _ in grid.boxes(stored))
    lengths = [cursor.varint("length of a blob") for _ in range(count - 1)]
    rest = cursor.left() - sum(lengths)
    if rest < 1 or 0 in lengths:
        raise StreamError(f"stored tiles: blobs of {lengths[:3]} bytes and {rest} left; {_DAMAGED}")
    blobs = tuple(bytes(cursor.take(size, "blob")) for size in (*lengths, rest))
    found = StoredTiles(grid, stored, blobs, bool(flags & _FLAG_ALPHA))
    if found.alpha and not found.whole:
        raise StreamError(f"stored tiles: alpha in the blobs of {found.tiles} of {grid.tiles} tiles; {_DAMAGED}")
    return found


def _runs(stored: Map) -> list[int]:
    """Lengths of runs of equal bits, row by row; the first is of tiles that are not stored."""
    flat = stored.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def _read_runs(cursor: Cursor, grid: TileGrid) -> Map:
    runs: list[int] = []
    left = grid.tiles
    while left:
        run = cursor.varint("run of tiles")
        if run > left or (not run and runs):
            raise StreamError(f"stored tiles: a run of {run} tiles, expected 1..{left}; {_DAMAGED}")
        runs.append(run)
        left -= run
    if len(runs) < 2:
        raise StreamError(f"stored tiles: none of {grid.tiles} is stored; {_DAMAGED}")
    flat = np.zeros(grid.tiles, np.bool_)
    ends = list(accumulate(runs))
    for start, stop in _pairs(ends):
        flat[start:stop] = True
    return flat.reshape(grid.shape)


def _pairs(ends: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(ends[::2], ends[1::2], strict=False))
