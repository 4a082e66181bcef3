"""Tables and priors of the tiny bundles in plain integers, for the slow decoder."""

from typing import Any

import numpy as np
from reference_decoder import Passes, Table


def tables_of(arrays: dict[str, Any]) -> list[Table]:
    rows = zip(
        arrays["bank_kind"], arrays["bank_minimum"], arrays["bank_frequencies"], arrays["bank_sizes"], strict=True
    )
    return [Table(int(kind), int(minimum), frequencies[:size].tolist()) for kind, minimum, frequencies, size in rows]


def factorized(arrays: dict[str, Any], width: int) -> Passes:
    def passes(quality: int, span: tuple[int, int, int, int], done: list[list[int]]) -> tuple[list[int], bool]:
        _, images, _, rows = span
        index = arrays["table_index"][quality - 1].tolist()
        return [table for _ in range(images) for table in index for _ in range(rows * width)], True

    return passes


def hyperprior(arrays: dict[str, Any], width: int, own: int) -> Passes:
    """The prior of make_tiny_bundles.py in plain integers, for one image in one chunk; `own` channels come first."""

    def passes(quality: int, span: tuple[int, int, int, int], done: list[list[int]]) -> tuple[list[int], bool]:
        rows = span[3]
        hyper_rows, hyper_columns = -(-rows // 4), -(-width // 4)
        if not done:
            index = arrays["hyper_table_index"][quality - 1].tolist()
            return [table for table in index for _ in range(hyper_rows * hyper_columns)], False
        hyper = np.array(done[0]).reshape(2, hyper_rows, hyper_columns).tolist()
        places = [(row, column) for row in range(rows) for column in range(width)]
        parity = len(done) - 1
        if parity == 2:
            return grouped(hyper, places, done), True
        known: dict[tuple[int, int, int], int] = {}
        if parity:
            even = [(channel, *place) for channel in range(own) for place in places if sum(place) % 2 == 0]
            known = dict(zip(even, done[1], strict=True))
        found = []
        for channel in range(own):
            for row, column in places:
                if (row + column) % 2 != parity:
                    continue
                around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
                near = [known[channel, *place] for place in around if (channel, *place) in known]
                busy = min(sum(min(abs(symbol), 4) for symbol in near), 4)
                index = 20 + 2 * hyper[min(channel, 1)][row // 4][column // 4] + 3 * busy - 6 * bool(near)
                found.append(table(index))
        return found, bool(parity) and own == 8

    def table(index: int) -> int:
        return int(arrays["scale_tables"][min(max(index, 0), 63)])

    def grouped(hyper: list[Any], places: list[tuple[int, int]], done: list[list[int]]) -> list[int]:
        busy = dict.fromkeys(places, 0)
        for parity, symbols in enumerate(done[1:]):
            squares = [place for place in places if sum(place) % 2 == parity]
            for place, symbol in zip(squares * own, symbols, strict=True):
                busy[place] = min(busy[place] + min(abs(symbol), 4), 4)
        base = [20 + 2 * hyper[1][row // 4][column // 4] for row, column in places]
        indices = [index + 3 * busy[place] - 6 for index, place in zip(base, places, strict=True)]
        return [table(index) for _ in range(own, 8) for index in indices]

    return passes
