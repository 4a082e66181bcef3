import numpy as np
import pytest

from aeedge.mosaic import enlarged, mosaic, split_mosaic


def flat(count, height=2, width=3):
    """Images of one value each, 1 to `count`."""
    return np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None] * np.ones((1, height, width, 1), np.uint8)


def test_images_stand_in_rows_on_white():
    canvas = mosaic(flat(5), gap=2)
    assert canvas.shape == (6, 13, 1)
    assert (canvas[0, 5, 0], canvas[4, 0, 0], canvas[4, 12, 0], canvas[2, 0, 0]) == (2, 4, 255, 255)
    assert mosaic(flat(5), 5, gap=2).shape == (2, 23, 1)


def test_two_images_with_a_gap_are_side_by_side():
    pair = mosaic(flat(2, 4, 6), 2, gap=4)
    assert pair.shape == (4, 16, 1)
    assert (pair[:, 10:] == 2).all()


@pytest.mark.parametrize("count", [1, 5, 6])
def test_a_mosaic_is_undone(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    canvas = mosaic(images, 3, background=0)
    assert canvas.shape == (4 * -(-count // 3), 15, 3)
    np.testing.assert_array_equal(split_mosaic(canvas, images.shape), images)


def test_enlarging_repeats_every_pixel():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    top, bottom = [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]
    assert enlarged(image, 2)[..., 0].tolist() == [top, top, bottom, bottom]
