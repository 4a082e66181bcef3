import numpy as np
import pytest
from tiny import picture

from aeedge_runtime.coding.tiling import cut_patches, fill, join_patches, pad, pad_to_stride, tiles, window
from aeedge_runtime.images.picture import to_gray


def test_padding_repeats_the_last_row_and_column() -> None:
    images = picture(5, 6, 3)[None]
    padded = pad_to_stride(images, (4, 8))
    assert padded.shape == (1, 8, 8, 3)
    assert np.array_equal(padded, np.pad(images, ((0, 0), (0, 3), (0, 2), (0, 0)), mode="edge"))
    assert pad(images, 5, 6) is images


def test_a_window_is_a_part_of_the_padded_image() -> None:
    images = np.stack([picture(13, 22, 3, seed) for seed in range(2)])
    found = window(images, range(2, 4), range(1, 3), (4, 8))
    assert np.array_equal(found, pad_to_stride(images, (4, 8))[:, 8:16, 8:24])


@pytest.mark.parametrize("size", [(4, 6), (8, 18)])
def test_patches_are_cut_in_row_major_order_and_joined_again(size: tuple[int, int]) -> None:
    images = np.stack([picture(*size, 3, seed) for seed in range(2)])
    patches = cut_patches(images, (4, 6))
    h, w = size[0] // 4, size[1] // 6
    assert patches.shape == (2 * h * w, 4, 6, 3)
    assert np.array_equal(patches[-1], images[1, -4:, -6:])
    assert np.array_equal(patches[w - 1], images[0, :4, -6:])
    assert np.array_equal(join_patches(patches, 2, h, w), images)


def test_pixels_are_cropped_and_become_luma_where_one_channel_is_wanted() -> None:
    decoded = picture(8, 8, 3)[None]
    for channels, expected in ((3, decoded[:, :5, :7]), (1, to_gray(decoded[:, :5, :7]))):
        target = np.empty((1, 5, 7, channels), np.uint8)
        fill(target, decoded)
        assert np.array_equal(target, expected)


@pytest.mark.parametrize(("h", "w"), [(7, 9), (40, 3), (64, 65)])
def test_tiles_cover_every_position_once_and_stay_within_the_limit(h: int, w: int) -> None:
    seen = np.zeros((h, w), int)
    for tile in tiles(range(h), h, w, (4, 4), 256 * 16, 2):
        seen[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += 1
        assert len(tile.outer_rows) * len(tile.outer_columns) <= 256
    assert (seen == 1).all()
