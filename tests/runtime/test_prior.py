"""The order of the squares within a pass."""

import numpy as np
import pytest

from aeedge_runtime.layout import Span
from aeedge_runtime.prior import _passes

SHAPES = [(1, 1), (1, 2), (2, 1), (3, 4), (4, 5), (5, 6), (7, 3)]


@pytest.mark.parametrize("first_row", [0, 5])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_squares_are_those_of_the_format_in_c_order(rows, width, first_row):
    values = np.arange(2 * 3 * rows * width, dtype=np.int32).reshape(2, 3, rows, width)
    colour = (np.arange(first_row, first_row + rows)[:, None] + np.arange(width)) % 2
    copy = np.zeros_like(values)
    for parity, squares in enumerate(_passes(2, Span(0, 2, first_row, rows))):
        found = squares.take(values)
        expected = np.stack([plane[colour == parity] for plane in values.reshape(6, rows, width)])
        assert np.array_equal(found, expected)
        squares.put(copy, found.ravel())
    assert np.array_equal(copy, values)


def test_one_pass_takes_everything():
    values = np.arange(24.0).reshape(1, 2, 3, 4)
    (squares,) = _passes(1, Span(0, 1, 0, 3))
    assert np.array_equal(squares.take(values), values.reshape(2, 12))
