import numpy as np
import pytest

from aeedge.evaluation.bdrate import compare_curves, monotone, rate_ratios

PSNR = (26.0, 29.0, 31.5, 34.0, 37.0)
RATES = (0.2, 0.4, 0.7, 1.2, 2.2)


def test_half_the_rate_is_minus_fifty_percent():
    found = compare_curves(([rate / 2 for rate in RATES], PSNR), (RATES, PSNR), (28.5, 36))
    assert found.percent == pytest.approx(-50, abs=1e-6)
    assert found.at[0] == pytest.approx((28.5, -50))
    assert found.smaller == ((28.5, 36.0),)


def test_it_is_the_package_on_the_whole_range():
    from bjontegaard import bd_rate

    worse = [rate * factor for rate, factor in zip(RATES, (1.1, 1.3, 1.2, 1.4, 1.1), strict=True)]
    expected = bd_rate(RATES, PSNR, worse, PSNR, method="pchip")
    found = compare_curves((worse, PSNR), (RATES, PSNR), (26, 37))
    assert found.percent == pytest.approx(expected, abs=0.05)


def test_nothing_is_extrapolated():
    found = compare_curves((RATES[:3], PSNR[:3]), (RATES, PSNR), (28.5, 36), ("aeedge", "JPEG"))
    assert found.percent is None
    assert found.reason == "aeedge covers 26.0 to 31.5 dB, not 28.5 to 36 dB"
    found = compare_curves((RATES, PSNR), (RATES[2:], PSNR[2:]), (28.5, 36), ("aeedge", "JPEG"))
    assert "JPEG covers 31.5 to 37.0 dB" in found.reason
    assert found.to_json()["not_covered"] == found.reason
    assert compare_curves(([], []), (RATES, PSNR), (28.5, 36)).percent is None


def test_crossing_curves_name_where_the_first_is_smaller():
    tilted = [rate * factor for rate, factor in zip(RATES, (0.7, 0.85, 1.0, 1.2, 1.4), strict=True)]
    found = compare_curves((tilted, PSNR), (RATES, PSNR), (28.5, 36))
    ((low, high),) = found.smaller
    assert low == 28.5
    assert high == pytest.approx(31.5, abs=0.15)


def test_points_that_cost_more_and_give_less_are_left_out():
    rates, values = monotone((3, 1, 2, 2.5), (33, 30, 32, 31.9))
    np.testing.assert_array_equal(rates, (1, 2, 3))
    np.testing.assert_array_equal(values, (30, 32, 33))


def test_ratios_go_as_far_as_both_curves_reach():
    found = rate_ratios(([rate / 2 for rate in RATES[1:]], PSNR[1:]), (RATES, PSNR), (28.5, 36))
    assert (found[0][0], found[-1][0]) == (29.0, 36.0)
    assert [value for _, value in found] == pytest.approx([50] * len(found), rel=0.03)
    assert rate_ratios((RATES, PSNR), (RATES, PSNR), (40, 45)) == []
    assert rate_ratios(([1], [30]), (RATES, PSNR), (28, 30)) == []
