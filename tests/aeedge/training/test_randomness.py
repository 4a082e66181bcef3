import numpy as np
import pytest

from aeedge.training import randomness

pytestmark = pytest.mark.torch


def test_uniform_depends_on_the_place_not_on_the_division():
    whole = randomness.uniform(1, 2, "x", 0, (8, 3, 5))
    assert np.array_equal(randomness.uniform(1, 2, "x", 3, (2, 3, 5)), whole[3:5])
    assert not np.array_equal(randomness.uniform(1, 3, "x", 0, (8, 3, 5)), whole)
    assert not np.array_equal(randomness.uniform(1, 2, "y", 0, (8, 3, 5)), whole)
    assert 0 <= whole.min() <= whole.max() < 1


def test_normal_is_normal_and_pinned():
    values = randomness.normal(0, 0, "x", 0, (400, 100))
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(randomness.normal(0, 0, "x", 100, (2, 100)), values[100:102])
    assert randomness.uniform(0, 0, "pin", 0, (1, 2)).tolist() == [[0.469751238822937, 0.7433239817619324]]
