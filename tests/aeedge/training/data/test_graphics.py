"""Synthetic pictures of flat colors, and photographs in other colors."""

import numpy as np
import pytest

from aeedge.training import randomness
from aeedge.training.data.augmentation import Augmentation
from aeedge.training.data.graphics import Graphics, graphic
from aeedge.training.data.recoloring import recolor

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_fixed_by_seed_and_index(channels):
    pictures = Graphics(5, 40, channels)
    assert len(pictures) == 40
    assert pictures.image(7).shape == (320, 320, channels)
    assert np.array_equal(pictures.image(7), graphic(5, 7, channels))
    assert not np.array_equal(pictures.image(7), graphic(6, 7, channels))


def test_every_third_picture_is_solid_and_colors_are_saturated():
    solids = np.array([graphic(0, index)[0, 0] for index in range(0, 300, 3)])
    assert all(len(np.unique(graphic(0, index).reshape(-1, 3), axis=0)) == 1 for index in range(0, 18, 3))
    assert np.isin(solids, (0, 255)).mean() == pytest.approx(0.5, abs=0.1)


def test_gradients_are_smooth_and_blocks_are_not():
    steps = [np.abs(np.diff(graphic(0, index).astype(int), axis=1)).max() for index in range(30)]
    assert max(steps[1::3]) <= 4
    assert min(steps[2::3]) > 4


def test_gray_stays_gray_or_is_inverted():
    gray = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[:, None, None], 3, axis=2)
    for number in range(20):
        found = recolor(gray, randomness.generator(number)).astype(int)
        assert min(np.abs(found - gray).max(), np.abs(found + gray - 255).max()) <= 1


def test_recoloring_saturates():
    photo = np.random.default_rng(0).integers(80, 170, (16, 16, 3), dtype=np.uint8)
    spreads = [np.ptp(recolor(photo, randomness.generator(number)).astype(int), axis=2).mean() for number in range(40)]
    assert max(spreads) > 3 * np.ptp(photo.astype(int), axis=2).mean()


def test_the_share_of_samples_is_recolored():
    photo = np.random.default_rng(0).integers(80, 170, (8, 8, 3), dtype=np.uint8)
    draws = np.full(8, 0.5, np.float32)
    draws[6] = 0.29
    kept, changed = (Augmentation((8, 8), recolored=share).sample(photo, draws) for share in (0.28, 0.3))
    assert np.array_equal(kept, photo)
    assert not np.array_equal(changed, photo)
