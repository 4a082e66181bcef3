import numpy as np
import pytest

from aeedge_runtime.prior.checkerboard import Squares

SHAPES = [(1, 1), (1, 2), (2, 1), (3, 4), (4, 5), (5, 6), (7, 3)]


@pytest.mark.parametrize("first_row", [0, 5])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_squares_are_those_of_the_format_in_c_order(rows, width, first_row):
    values = np.arange(2 * 3 * rows * width, dtype=np.float32).reshape(2, 3, rows, width)
    color = (np.arange(first_row, first_row + rows)[:, None] + np.arange(width)) % 2
    copy = np.full_like(values, -1)
    for parity in range(2):
        squares = Squares(rows, width, (parity + first_row) % 2)
        found = squares.take(values)
        expected = np.stack([plane[color == parity] for plane in values.reshape(6, rows, width)])
        assert np.array_equal(found.reshape(6, -1), expected)
        assert np.array_equal(found, values.reshape(2, 3, -1)[:, :, squares.positions()])
        ranks = squares.ranks()
        assert np.array_equal(ranks[color == parity], np.arange(len(squares.positions())))
        assert (ranks[color != parity] == len(squares.positions())).all()
        squares.put(copy, found)
    assert np.array_equal(copy, values)


def test_one_pass_takes_everything():
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    squares = Squares(3, 4, None)
    assert np.array_equal(squares.take(values), values.reshape(1, 2, 12))
    assert np.array_equal(squares.positions(), np.arange(12))
