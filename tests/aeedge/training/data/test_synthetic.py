import numpy as np
import pytest

from aeedge.training.data.datasets import (
    synthetic,
)

pytestmark = pytest.mark.torch


def test_synthetic_digits_are_fixed_and_varied():
    first, labels = synthetic.digits(3, 0, 60)
    again, _ = synthetic.digits(3, 20, 40)
    assert first.shape == (60, 28, 28, 1)
    assert np.array_equal(first[20:], again)
    assert len(set(labels.tolist())) == 10
    assert (first.reshape(60, -1).max(1) > 120).all()
    assert len({image.tobytes() for image in first}) == 60


def test_synthetic_photos_are_fixed_and_colored():
    scene = synthetic.photo(3, 1)
    assert scene.shape == (320, 320, 3)
    assert np.array_equal(scene, synthetic.photo(3, 1))
    assert not np.array_equal(scene, synthetic.photo(3, 2))
    assert scene.std() > 10
