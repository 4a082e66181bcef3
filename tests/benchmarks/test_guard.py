import random

import pytest

pytest.importorskip("torch")  # record.py imports what trains

from guard import interval, judge


def test_the_interval_holds_the_median_of_the_population_19_times_of_20():
    generator = random.Random(0)
    inside = 0
    for _ in range(1000):
        low, high = interval([generator.lognormvariate(0, 0.3) for _ in range(40)])  # median 1
        inside += low <= 1 <= high
    assert 930 <= inside <= 980


def test_equal_times_with_outliers_are_not_slower():
    generator = random.Random(1)
    before, now = ([10 + generator.expovariate(1) for _ in range(40)] for _ in range(2))
    found = judge("call", before, now)
    assert not found.slower
    assert found.low < 1 < found.high


def test_a_drift_of_the_machine_is_not_a_difference():
    drift = [1 + turn / 20 for turn in range(40)]
    assert judge("call", [10 * factor for factor in drift], [10 * factor for factor in drift]).ratio == 1


@pytest.mark.parametrize(("share", "slower"), [(0.01, False), (0.1, True)])
def test_a_difference_beyond_the_tolerance_is_found(share, slower):
    generator = random.Random(2)
    before = [10 + generator.gauss(0, 0.1) for _ in range(40)]
    now = [(10 + generator.gauss(0, 0.1)) * (1 + share) for _ in range(40)]
    found = judge("call", before, now)
    assert (found.slower, found.ratio) == (slower, pytest.approx(1 + share, abs=0.02))
