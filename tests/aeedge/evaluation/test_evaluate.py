import pytest

from aeedge.evaluation.evaluate import PSNR_RANGE, _usual_range, own_range, shared_range
from aeedge.evaluation.points import Point, average


def curve(low, high):
    points = [
        Point("a", "x", quality, 100, 10 + quality, psnr, None, 1.0, 1.0) for quality, psnr in enumerate((low, high))
    ]
    return average(points, "x", "x")


def test_ranges_are_rounded_inwards_and_shared_by_all():
    assert own_range(curve(27.2, 41.9)) == (27.5, 41.5)
    assert shared_range(curve(27.2, 41.9), curve(33.1, 50), curve(20, 39.7)) == (33.5, 39.5)
    assert shared_range(curve(27, 30), curve(30, 40)) is None


@pytest.mark.parametrize(
    ("curves", "span"),
    [
        ([(27, 42), (20, 50)], PSNR_RANGE),
        ([(33.2, 42), (20, 50)], (33.5, 42.0)),
        ([(24, 33), (20, 50)], (24.0, 33.0)),
        ([(20, 25), (30, 40)], PSNR_RANGE),
    ],
)
def test_the_usual_range_is_replaced_where_a_curve_does_not_cover_it(curves, span):
    assert _usual_range([curve(low, high) for low, high in curves]) == span
