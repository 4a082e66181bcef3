from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.reconstruction import reconstruct
from aeedge_runtime import Codec
from aeedge_runtime.images.psnr import psnr_db

BUNDLES = Path(__file__).parents[2] / "fixtures" / "bundles"


@pytest.fixture(scope="module")
def dense():
    return Codec.load(BUNDLES / "tiny-dense", threads=1)


def smooth(count, size=(16, 24), seed=0):
    rows, columns = np.mgrid[: size[0], : size[1]]
    slopes = np.random.default_rng(seed).uniform(-4, 4, (count, 2, 1, 1))
    images = 120 + slopes[:, 0] * (rows - 8) + slopes[:, 1] * (columns - 8)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)[..., None]


def noisy(count, size=(16, 24), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 1), dtype=np.uint8)


def test_reconstruction_keeps_what_the_model_can_hold(dense):
    assert psnr_db(smooth(3), reconstruct(dense, smooth(3))) > psnr_db(noisy(3), reconstruct(dense, noisy(3))) + 10
    assert reconstruct(dense, smooth(2, (5, 9))).shape == (2, 5, 9, 1)
