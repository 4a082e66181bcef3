import numpy as np
import pytest

from aeedge.applications.anomaly import auroc
from aeedge.applications.detection import PixelDetection, auroc_interval, rate_interval
from aeedge_runtime import ArgumentError


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


def test_histograms_of_many_images_are_close_to_the_exact_figures():
    detection, random = PixelDetection(), np.random.default_rng(1)
    maps, masks = random.normal(0, 3, (8, 60, 50)).astype(np.float32), random.uniform(size=(8, 60, 50)) < 0.2
    maps += 2 * masks
    for unusual, mask in zip(maps, masks, strict=True):
        detection.add(unusual, mask)
    found = detection.summary()
    assert found["pixel_auroc"] == pytest.approx(auroc(maps[~masks], maps[masks]), abs=1e-3)
    chosen = maps >= found["best_f1_threshold"]
    f1 = 2 * (chosen & masks).sum() / (chosen.sum() + masks.sum())
    assert found["best_f1"] == pytest.approx(f1, abs=1e-9)
    assert found["best_f1"] >= 2 * masks.sum() / (masks.size + masks.sum())


@pytest.mark.parametrize("marked", [False, True])
def test_masks_that_mark_nothing_or_everything_have_no_summary(marked):
    detection = PixelDetection()
    detection.add(np.zeros((4, 4), np.float32), np.full((4, 4), marked))
    with pytest.raises(ArgumentError):
        detection.summary()


def test_bounds_of_an_area_cover_it():
    random, inside = np.random.default_rng(2), 0
    true = 0.7602  # of two normal distributions one spread apart: Phi(1 / sqrt(2))
    for _ in range(300):
        low, high = auroc_interval(auroc(random.normal(size=40), random.normal(1, 1, 40)), 40, 40)
        inside += low <= true <= high
    assert 0.91 <= inside / 300 <= 0.99
    assert auroc_interval(1.0, 40, 40) == (1.0, 1.0)
