import numpy as np
import pytest

from aeedge.applications.detection import PixelDetection, rate_interval


def test_bounds_of_a_rate():
    assert rate_interval(0, 50) == pytest.approx((0, 0.0713), abs=1e-4)
    assert rate_interval(5, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)
    assert rate_interval(50, 50)[1] == 1


def test_maps_that_find_the_mask_score_one():
    detection = PixelDetection()
    mask = np.zeros((20, 20), bool)
    mask[5:9, 5:9] = True
    noise = np.random.default_rng(0).uniform(0, 1, (20, 20)).astype(np.float32)
    detection.add(noise + 2 * mask, mask)
    detection.add(noise, np.zeros((20, 20), bool))
    found = detection.summary()
    assert detection.masks == 1
    assert (found["pixel_auroc"], found["best_f1"]) == (1.0, 1.0)
    assert 0.99 <= found["best_f1_threshold"] < 2.01


def test_maps_that_find_nothing_are_at_chance():
    detection = PixelDetection()
    random = np.random.default_rng(0)
    mask = random.uniform(size=(200, 200)) < 0.1
    detection.add(random.uniform(size=(200, 200)).astype(np.float32), mask)
    assert detection.summary()["pixel_auroc"] == pytest.approx(0.5, abs=0.02)


def test_masks_that_mark_nothing_have_no_summary():
    detection = PixelDetection()
    detection.add(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="mark no pixel"):
        detection.summary()
