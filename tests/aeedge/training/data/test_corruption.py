import numpy as np
import pytest

from aeedge.training.data.corruption import Corruption
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("text", "share"), [("salt-pepper:0.2", 0.2), ("mask:0.5", 0.5)])
def test_corruption_hits_the_stated_share(text, share):
    images = np.full((4, 64, 64, 3), 0.5, np.float32)
    damaged = Corruption.parse(text).apply(images, 0, 1, 0)
    assert (damaged != images).any(-1).mean() == pytest.approx(share, abs=0.02)
    assert np.array_equal(damaged, Corruption.parse(text).apply(images, 0, 1, 0))


def test_gaussian_corruption_has_the_stated_spread():
    damaged = Corruption.parse("gaussian:0.1").apply(np.full((4, 64, 64, 1), 0.5, np.float32), 0, 1, 0)
    assert damaged.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("text", ["gausian:0.3", "gaussian", "mask:2", "mask:x", "salt-pepper:0"])
def test_wrong_corruptions(text):
    with pytest.raises(ArgumentError, match="corrupt"):
        Corruption.parse(text)
