import pytest

from aeedge.benchmark import worker
from aeedge.benchmark.engines.base import WrongResultError


def test_two_results_of_one_input_are_refused():
    worker._check(7, 7)
    with pytest.raises(WrongResultError, match="gave different results"):
        worker._check(7, 8)
