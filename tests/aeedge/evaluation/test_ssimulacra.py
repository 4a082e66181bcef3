"""SSIMULACRA2 of an evaluation."""

import numpy as np
import pytest

from aeedge.evaluation.ssimulacra import LEAST_SIDE, is_installed, ssimulacra2

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs the package ssimulacra2")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_score_falls_from_100(channels):
    rows, columns = np.mgrid[0:LEAST_SIDE, 0 : LEAST_SIDE + 9]
    original = np.repeat((rows + columns).astype(np.uint8)[:, :, None] // 2 + 60, channels, axis=2)
    noise = np.random.default_rng(0).normal(0, 1, original.shape)
    scores = [
        ssimulacra2(original, np.clip(original + strength * noise, 0, 255).astype(np.uint8)) for strength in (0, 2, 20)
    ]
    assert scores[0] == 100
    assert 100 > scores[1] > scores[2]
