import math

import pytest

from aeedge.evaluation.points import EXACT_DB, Point, average, rates_and_psnr


def point(image, quality, total_bytes, psnr_db, encode_ms=1.0):
    return Point(image, "webp4", quality, 800, total_bytes, psnr_db, None, encode_ms, 2.0)


def test_a_curve_has_means_by_rate_and_median_times():
    points = [point("a", 90, 300, 40.0, 9.0), point("a", 10, 100, 20.0), point("b", 90, 500, 44.0, 1.0)]
    curve = average([*points, Point("a", "jpeg", 50, 800, 7, 30.0, None, 1.0, 1.0)], "webp4", "WebP")
    assert [(found.quality, found.rate_bpp, found.psnr_db) for found in curve.points] == [
        (10, 1.0, 20.0),
        (90, 4.0, 42.0),
    ]
    assert curve.points[1].encode_ms == 5.0
    assert rates_and_psnr(curve) == ([1.0, 4.0], [20.0, 42.0])


def test_an_exact_copy_does_not_swallow_the_mean():
    curve = average([point("a", 90, 300, math.inf), point("b", 90, 300, 41.0)], "webp4", "WebP")
    assert curve.points[0].psnr_db == pytest.approx((EXACT_DB + 41) / 2)
