"""Sections 5 and 6 of a stream: stored tiles and the bound on the error. FORMAT.md is their specification.

Everything that a blob says of its size is checked here, before one is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from ..errors import StreamError, UnsupportedStreamError
from ..limits import MAX_VARINT_BYTES
from .tile_grid import Map, Rectangle, TileGrid
from .varints import Cursor, write_varint

VP8L = 0x2F
"""First byte of a VP8L bit stream."""

ZLIB = 0x78
"""First byte of zlib data with a window of 32 KiB."""

MAX_ERROR = 255
"""Largest bound on the error: what an 8-bit sample can be off by."""

MAX_STEP = 2 * MAX_ERROR + 1
"""Largest step of a residual."""

PEEK_BYTES = 1 + 2 * MAX_VARINT_BYTES
"""Bytes of section 5 that tell most of it: its flags, and the lengths of the first two runs of tiles."""

_VP8L_HEADER_BYTES = 5
_FLAG_ALPHA = 1
_DAMAGED = "the stream is damaged or forged, get it again"


@dataclass(frozen=True, eq=False)
class TileBlobs:
    """Some tiles of a grid, and the blobs that hold their pixels.

    Attributes:
        grid: all tiles.
        held: bool [grid.shape], which tiles; at least one.
        blobs: one for each of `boxes`.
        alpha: whether the blobs hold alpha, too.
    """

    grid: TileGrid
    held: Map
    blobs: tuple[bytes, ...]
    alpha: bool = False

    @property
    def tiles(self) -> int:
        """Number of tiles held."""
        return int(np.count_nonzero(self.held))

    @property
    def whole(self) -> bool:
        """Whether every tile is held."""
        return self.tiles == self.grid.tiles

    @property
    def blob_bytes(self) -> int:
        """Bytes of all blobs."""
        return sum(map(len, self.blobs))

    def boxes(self) -> list[Rectangle]:
        """Return the rectangle of tiles of each blob."""
        return list(self.grid.boxes(self.held))


@dataclass(frozen=True, eq=False)
class Bound:
    """Guarantees of the writer.

    Attributes:
        error: no sample of color is off by more.
        step: what the residual is to be multiplied by; 0 without one.
        residual: tiles with a residual, or None.
    """

    error: int
    step: int = 0
    residual: TileBlobs | None = None


def pack_tiles(tiles: TileBlobs) -> bytes:
    """Return section 5."""
    return bytes([_FLAG_ALPHA * tiles.alpha]) + _packed(tiles)


def pack_bound(bound: Bound) -> bytes:
    """Return section 6."""
    head = bytes([bound.error])
    return head if bound.residual is None else head + write_varint(bound.step) + _packed(bound.residual)


def unpack_tiles(data: bytes, grid: TileGrid) -> TileBlobs:
    """Return the stored tiles of a stream whose size is within the limits.

    Raises:
        UnsupportedStreamError: a flag or a kind of blob that this reader does not know.
        StreamError: damaged or forged.
    """
    alpha = _has_alpha(data)
    tiles = _unpacked(Cursor(data, 1, len(data)), grid, alpha, "stored tiles")
    if tiles.alpha and not tiles.whole:
        raise StreamError(f"stored tiles: alpha in the blobs of {tiles.tiles} of {grid.tiles} tiles; {_DAMAGED}")
    return tiles


def count_tiles(data: bytes, grid: TileGrid) -> int:
    """Return how many tiles section 5 stores, of a stream of any size: no map of them is made.

    Raises:
        UnsupportedStreamError, StreamError: as `unpack_tiles`, but for what is in blobs.
    """
    _has_alpha(data)
    return sum(_read_runs(Cursor(data, 1, len(data)), grid, "stored tiles")[1::2])


def peek_tiles(data: bytes, grid: TileGrid) -> tuple[bool, bool]:
    """Return whether section 5 stores alpha, and whether it stores every tile, from its first `PEEK_BYTES`.

    Raises:
        UnsupportedStreamError, StreamError: as `unpack_tiles`, but for what is in later bytes.
    """
    alpha = _has_alpha(data)
    cursor = Cursor(data, 1, len(data))
    return alpha, cursor.varint("run of tiles") == 0 and cursor.varint("run of tiles") == grid.tiles


def unpack_bound(data: bytes, grid: TileGrid, stored: TileBlobs | None) -> Bound:
    """Return the bound of a stream whose size is within the limits.

    Args:
        data: section 6.
        grid: all tiles.
        stored: the stored tiles, which have no residual.

    Raises:
        UnsupportedStreamError: a kind of blob that this reader does not know.
        StreamError: damaged or forged.
    """
    cursor = Cursor(data, 0, len(data))
    error = cursor.byte("bound")
    if not cursor.left():
        return Bound(error)
    step = cursor.varint("step of the residual")
    if not 1 <= step <= MAX_STEP:
        raise StreamError(f"bound: a residual in steps of {step}, expected 1..{MAX_STEP}; {_DAMAGED}")
    residual = _unpacked(cursor, grid, False, "residual")
    if stored is not None and np.any(residual.held & stored.held):
        raise StreamError(f"bound: a stored tile with a residual; {_DAMAGED}")
    return Bound(error, step, residual)


def _has_alpha(data: bytes) -> bool:
    if data[0] & ~_FLAG_ALPHA:
        raise UnsupportedStreamError(f"stored tiles with unknown flags 0x{data[0]:02x}; update aeedge")
    return bool(data[0])


def _packed(tiles: TileBlobs) -> bytes:
    numbers = [*_runs(tiles.held), *(len(blob) for blob in tiles.blobs[:-1])]
    return b"".join([*map(write_varint, numbers), *tiles.blobs])


def _unpacked(cursor: Cursor, grid: TileGrid, alpha: bool, what: str) -> TileBlobs:
    held = _marked(list(accumulate(_read_runs(cursor, grid, what))), grid)
    boxes = list(grid.boxes(held))
    lengths = [cursor.varint("length of a blob") for _ in boxes[1:]]
    lengths.append(cursor.left() - sum(lengths))
    if min(lengths) < 1:
        raise StreamError(f"{what}: a blob of {min(lengths)} bytes, expected at least 1; {_DAMAGED}")
    blobs = tuple(bytes(cursor.take(size, "blob")) for size in lengths)
    for blob, box in zip(blobs, boxes, strict=True):
        _check_blob(blob, grid.pixels(box), alpha, what)
    return TileBlobs(grid, held, blobs, alpha)


def _runs(held: Map) -> list[int]:
    """Lengths of runs of tiles, row by row; the first is of tiles that are not held."""
    flat = held.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = [stop - start for start, stop in pairwise([0, *edges.tolist(), flat.size])]
    return [0, *runs] if flat[0] else runs


def _read_runs(cursor: Cursor, grid: TileGrid, what: str) -> list[int]:
    runs: list[int] = []
    left = grid.tiles
    while left:
        run = cursor.varint("run of tiles")
        if run > left or (not run and runs):
            raise StreamError(f"{what}: a run of {run} tiles, expected 1..{left}; {_DAMAGED}")
        runs.append(run)
        left -= run
    if len(runs) < 2:
        raise StreamError(f"{what}: of {grid.tiles} tiles none is held; {_DAMAGED}")
    return runs


def _marked(ends: Sequence[int], grid: TileGrid) -> Map:
    flat = np.zeros(grid.tiles, np.bool_)
    for start, stop in zip(ends[::2], ends[1::2], strict=False):
        flat[start:stop] = True
    return flat.reshape(grid.shape)


def _check_blob(blob: bytes, expected: Rectangle, alpha: bool, what: str) -> None:
    """Refuse a blob that claims to be something else; zlib data claims nothing, and is unpacked within bounds."""
    if blob[0] == ZLIB:
        return
    if blob[0] != VP8L:
        raise UnsupportedStreamError(f"{what}: a blob of the unknown kind 0x{blob[0]:02x}; update aeedge")
    if len(blob) < _VP8L_HEADER_BYTES:
        raise StreamError(f"{what}: a VP8L blob of {len(blob)} bytes; {_DAMAGED}")
    fields = struct.unpack_from("<I", blob, 1)[0]
    width, height = (fields & 0x3FFF) + 1, (fields >> 14 & 0x3FFF) + 1
    if (width, height) != (expected.width, expected.height):
        raise StreamError(
            f"{what}: a VP8L blob of {width}x{height}, expected {expected.width}x{expected.height}; {_DAMAGED}"
        )
    if fields >> 28 != int(alpha):
        raise StreamError(
            f"{what}: a VP8L blob of alpha {fields >> 28 & 1} and version {fields >> 29}, "
            f"expected {int(alpha)} and 0; {_DAMAGED}"
        )
