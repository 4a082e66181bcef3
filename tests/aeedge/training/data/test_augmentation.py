"""Crops, symmetries and shrinking of training samples."""

import numpy as np
import pytest

from aeedge.training.config import RunConfig
from aeedge.training.data.augmentation import Augmentation
from aeedge_runtime.errors import ArgumentError

KEEP = 0.9
"""A draw that mirrors, transposes and shrinks nothing."""


def draws(**places):
    names = ("row", "column", "mirror", "upside_down", "transpose", "factor", "recolor", "how")
    return np.array([places.get(name, 0.0 if name in ("row", "column") else KEEP) for name in names], np.float32)


def numbered(rows, columns):
    return np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns, 1)


def test_every_crop_comes_and_no_other():
    image = numbered(5, 6)
    corners = {
        int(Augmentation((3, 4)).sample(image, draws(row=row, column=column))[0, 0, 0])
        for row in np.linspace(0, 0.999, 20)
        for column in np.linspace(0, 0.999, 20)
    }
    assert corners == {row * 6 + column for row in range(3) for column in range(3)}


def test_symmetries():
    image = numbered(4, 4)
    augmentation = Augmentation((4, 4), flip=True, turn=True)
    seen = {
        augmentation.sample(image, draws(mirror=mirror, upside_down=down, transpose=across)).tobytes()
        for mirror in (0.1, KEEP)
        for down in (0.1, KEEP)
        for across in (0.1, KEEP)
    }
    expected = {np.rot90(start, turns).tobytes() for start in (image, image.transpose(1, 0, 2)) for turns in range(4)}
    assert seen == expected


def test_nothing_is_turned_unasked():
    image = numbered(4, 4)
    everything = draws(mirror=0.1, upside_down=0.1, transpose=0.1, factor=0.1)
    assert np.array_equal(Augmentation((4, 4)).sample(image, everything), image)


def test_an_image_without_room_is_not_transposed():
    image = numbered(4, 8)
    augmentation = Augmentation((4, 8), turn=True)
    assert np.array_equal(augmentation.sample(image, draws(transpose=0.1)), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_averages_and_keeps_the_size(channels):
    board = np.indices((64, 96)).sum(0) % 2 * 255
    image = np.repeat(board[..., None], channels, axis=2).astype(np.uint8)
    half = Augmentation((32, 32), shrink=0.5).sample(image, draws(row=0.3, column=0.7, factor=0.0))
    assert half.shape == (32, 32, channels)
    assert np.ptp(half[4:-4, 4:-4].astype(int)) < 40  # a checkerboard at half its size is gray
    kept = Augmentation((32, 32), shrink=0.5).sample(image, draws(factor=0.51))
    assert np.array_equal(kept, image[:32, :32])


def test_shrinking_ends_at_the_size_of_a_sample():
    image = numbered(10, 20)
    shrunk = Augmentation((10, 10), shrink=0.2).sample(image, draws(column=0.4, factor=0.0))
    assert np.array_equal(shrunk, image[:, 4:14])


@pytest.mark.parametrize("side", [392, 478, 509])
def test_shrinking_to_the_whole_image_stays_inside_it(side):
    assert 256 / (256 / side) > side  # by rounding
    image = np.full((side, side, 1), 7, np.uint8)
    sample = Augmentation((256, 256), shrink=0.1).sample(image, draws(factor=0.0, row=0.99, column=0.99))
    assert sample.shape == (256, 256, 1)
    assert (sample == 7).all()


@pytest.mark.parametrize("shrink", [0.0, 1.5])
def test_impossible_factors_are_refused(shrink):
    with pytest.raises(ArgumentError, match=r"data.shrink: found .*, expected a factor above 0 up to 1"):
        RunConfig.from_dict({"data": {"shrink": shrink}})
