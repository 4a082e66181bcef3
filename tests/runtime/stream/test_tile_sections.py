import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeedge_runtime.errors import StreamError, UnsupportedStreamError
from aeedge_runtime.fidelity.lossless import encode_blob
from aeedge_runtime.stream.tile_grid import TileGrid
from aeedge_runtime.stream.tile_sections import (
    Bound,
    TileBlobs,
    count_tiles,
    pack_bound,
    pack_tiles,
    unpack_bound,
    unpack_tiles,
)


def some_tiles(grid: TileGrid, held: np.ndarray) -> TileBlobs:
    blobs = []
    for box in grid.boxes(held):
        place = grid.pixels(box)
        blobs.append(encode_blob(np.full((place.height, place.width, 3), 7, np.uint8)))
    return TileBlobs(grid, held, tuple(blobs))


@given(st.integers(1, 3), st.integers(1, 300), st.integers(1, 300), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_map_and_its_blobs_come_back(count: int, height: int, width: int, seed: int) -> None:
    grid = TileGrid(count, height, width)
    held = np.random.default_rng(seed).random(grid.shape) < 0.4
    held[0, 0] |= not held.any()
    tiles = some_tiles(grid, held)
    found = unpack_tiles(pack_tiles(tiles), grid)
    np.testing.assert_array_equal(found.held, held)
    assert found.blobs == tiles.blobs
    assert (found.tiles, found.whole, found.alpha) == (held.sum(), held.all(), False)
    assert count_tiles(pack_tiles(tiles), grid) == held.sum()


def test_the_map_of_a_whole_image_takes_three_bytes() -> None:
    grid = TileGrid(1, 2160, 3840)
    tiles = some_tiles(grid, np.ones(grid.shape, np.bool_))
    assert len(pack_tiles(tiles)) == 1 + 3 + len(tiles.blobs[0])


def test_several_sheets_have_several_blobs() -> None:
    grid = TileGrid(400, 8, 8)
    tiles = some_tiles(grid, np.ones(grid.shape, np.bool_))
    assert len(tiles.blobs) == 3
    assert unpack_tiles(pack_tiles(tiles), grid).blobs == tiles.blobs


@pytest.mark.parametrize("cut", range(60))
def test_every_truncation_is_refused(cut: int) -> None:
    grid = TileGrid(400, 8, 8)
    data = pack_tiles(TileBlobs(grid, np.ones(grid.shape, np.bool_), (b"", b"", b"")))
    with pytest.raises((StreamError, IndexError) if cut == 0 else StreamError):
        unpack_tiles(data[:cut], grid)


def test_flags_of_a_newer_writer_are_unsupported() -> None:
    grid = TileGrid(1, 8, 8)
    for call in (unpack_tiles, count_tiles):
        with pytest.raises(UnsupportedStreamError, match="flags 0x02"):
            call(b"\2\0\1", grid)


def test_tiles_are_counted_without_a_map_of_them() -> None:
    grid = TileGrid(1 << 24, 65_535, 65_535)
    tracemalloc.start()
    with pytest.raises(StreamError, match="0 bytes where the run"):
        count_tiles(b"\0\0\xff\xff\xff\xff\x0f", grid)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_a_bound_comes_back_with_and_without_a_residual() -> None:
    grid = TileGrid(1, 70, 200)
    assert pack_bound(Bound(7)) == b"\7"
    assert unpack_bound(b"\7", grid, None).residual is None
    held = np.array([[False, True, False]])
    bound = unpack_bound(pack_bound(Bound(255, 509, some_tiles(grid, held))), grid, some_tiles(grid, ~held))
    assert (bound.error, bound.step) == (255, 509)
    assert bound.residual is not None
    np.testing.assert_array_equal(bound.residual.held, held)
    with pytest.raises(StreamError, match="a stored tile with a residual"):
        unpack_bound(pack_bound(Bound(1, 1, some_tiles(grid, held))), grid, some_tiles(grid, held))
