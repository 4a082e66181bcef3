from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.anomaly import score_images
from aeedge.applications.images import NamedImage
from aeedge_export.checks.anomaly import calibrate, conformal_threshold
from aeedge_runtime import ArgumentError, Codec

BUNDLES = Path(__file__).parents[2] / "fixtures" / "bundles"


@pytest.fixture(scope="module")
def dense():
    return Codec.load(BUNDLES / "tiny-dense", threads=1)


def slopes(count):
    rows, columns = np.mgrid[:16, :24]
    rates = np.random.default_rng(0).uniform(-4, 4, (count, 2, 1, 1))
    images = 120 + rates[:, 0] * (rows - 8) + rates[:, 1] * (columns - 8)
    return list(np.clip(np.rint(images), 0, 255).astype(np.uint8)[..., None])


def test_threshold_keeps_its_false_positive_rate():
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(300):
        scores = rng.exponential(size=1100)
        rates.append((scores[100:] > conformal_threshold(scores[:100], 0.05)).mean())
    assert np.mean(rates) == pytest.approx(5 / 101, abs=0.004)


def test_threshold_ranks():
    scores = np.arange(1.0, 100.0)
    assert conformal_threshold(scores, 0.01) == 99.0
    assert conformal_threshold(scores, 0.5) == 50.0
    with pytest.raises(ArgumentError, match=r"expected at least 199 for 0\.005"):
        conformal_threshold(scores, 0.005)


def test_calibration_states_the_rate_it_can_show(dense):
    facts = calibrate(dense, slopes(40), 0.001)
    assert facts is not None
    assert (facts.score, facts.images, facts.false_positive_rate) == ("mse", 40, pytest.approx(1 / 41))
    assert facts.threshold == max(
        scored.score for scored in score_images(dense, (NamedImage("", image, "") for image in slopes(40)))
    )
    assert calibrate(dense, slopes(19)) is None
    with pytest.raises(ArgumentError, match="expected a share between 0 and 1"):
        calibrate(dense, slopes(40), 1.0)
