import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeedge_runtime.limits import MAX_DIMENSION
from aeedge_runtime.stream.tile_grid import Rectangle, TileGrid


@pytest.mark.parametrize(("side", "tiles"), [(1, 1), (95, 1), (96, 2), (128, 2), (159, 2), (160, 3), (65_535, 1024)])
def test_a_remainder_below_half_a_tile_joins_the_tile_before(side: int, tiles: int) -> None:
    assert TileGrid(1, side, 64).rows == tiles
    assert TileGrid(1, 64, side).columns == tiles


@given(st.integers(1, 5), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_every_pixel_once(count: int, height: int, width: int) -> None:
    grid = TileGrid(count, height, width)
    seen = np.zeros((count * height, width), np.int64)
    for row in range(grid.shape[0]):
        for column in range(grid.columns):
            part = grid.pixels(Rectangle(row, row + 1, column, column + 1))
            assert part.height == height or 32 <= part.height <= 95
            assert part.width == width or 32 <= part.width <= 95
            seen[part.top : part.bottom, part.left : part.right] += 1
    assert (seen == 1).all()
    assert grid.tiles == grid.shape[0] * grid.shape[1]


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(1, 2160, 3840), (1, 13_000, 13_000), (1, 64, 65_535), (1, 65_535, 64), (9000, 28, 28), (600, 95, 95)],
)
def test_sheets_cover_every_tile_once_and_fit_webp(count: int, height: int, width: int) -> None:
    grid = TileGrid(count, height, width)
    seen = np.zeros(grid.shape, np.int64)
    for sheet in grid.sheets():
        part = grid.pixels(sheet)
        assert max(part.height, part.width) <= 16_383
        assert sheet.height * sheet.width <= 2048
        seen[sheet.top : sheet.bottom, sheet.left : sheet.right] += 1
    assert (seen == 1).all()


def test_a_screen_is_one_sheet() -> None:
    assert len(list(TileGrid(1, 2160, 3840).sheets())) == 1


def test_a_box_is_the_smallest_around_the_stored_tiles() -> None:
    grid = TileGrid(1, 640, 640)
    stored = np.zeros(grid.shape, np.bool_)
    stored[2, 3] = stored[5, 7] = True
    assert list(grid.boxes(stored)) == [Rectangle(2, 6, 3, 8)]
    mask = grid.spread(stored, Rectangle(2, 6, 3, 8))
    assert mask is not None
    assert mask.sum() == 2 * 64 * 64
    assert mask[:64, :64].all()
    assert grid.spread(stored, Rectangle(2, 3, 3, 4)) is None


def test_sizes_of_the_largest_image_are_plain_numbers() -> None:
    assert TileGrid(1 << 24, MAX_DIMENSION, MAX_DIMENSION).tiles == 1024 * 1024 << 24
