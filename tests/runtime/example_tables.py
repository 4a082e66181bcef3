"""Small banks and symbols for tests and benchmarks of the entropy coder."""

import math

import numpy as np
from numpy.typing import NDArray
from reference_decoder import Table

from aeedge_runtime.entropy.bank import CERTAIN, MAGNITUDE, OFFSET, TOTAL, FrequencyBank


def integer_frequencies(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Frequencies that sum to 16384, each at least 1."""
    frequencies = np.maximum(1, np.floor(probabilities / probabilities.sum() * TOTAL)).astype(np.int64)
    frequencies[np.argmax(frequencies)] += TOTAL - frequencies.sum()
    return frequencies.astype(np.uint16)


def make_bank(tables: list[tuple[int, int, NDArray[np.uint16]]]) -> FrequencyBank:
    """Bank of (kind, minimum, frequencies)."""
    columns = max(len(frequencies) for _, _, frequencies in tables)
    rows = np.zeros((len(tables), columns), np.uint16)
    for row, (_, _, frequencies) in zip(rows, tables, strict=True):
        row[: len(frequencies)] = frequencies
    return FrequencyBank.from_arrays(
        {
            "bank_frequencies": rows,
            "bank_sizes": np.array([len(frequencies) for _, _, frequencies in tables], np.uint16),
            "bank_minimum": np.array([minimum for _, minimum, _ in tables], np.int16),
            "bank_kind": np.array([kind for kind, _, _ in tables], np.uint8),
        }
    )


CERTAIN_TABLE = (CERTAIN, 0, np.array([TOTAL], np.uint16))


def gaussian_scales(count: int = 64, low: float = 0.11, high: float = 128.0) -> NDArray[np.float64]:
    return np.geomspace(low, high, count)


def gaussian_bank(scales: NDArray[np.float64], certain_above: float = 0.9995, tail: float = 1e-4) -> FrequencyBank:
    """Magnitude tables of zero-mean Gaussians; certain ones where 0 has more than `certain_above`."""
    tables = []
    for scale in scales:
        inside = np.array([math.erf((k + 0.5) / scale / math.sqrt(2)) for k in range(255)])
        size = min(255, int(np.searchsorted(inside, 1 - tail)) + 1)
        probabilities = np.diff(np.concatenate([[0.0], inside[:size], [1.0]]))
        certain = inside[0] > certain_above
        tables.append(CERTAIN_TABLE if certain else (MAGNITUDE, 0, integer_frequencies(probabilities)))
    return make_bank(tables)


def mixed_bank() -> FrequencyBank:
    """Every kind and the extreme sizes."""
    rng = np.random.default_rng(7)
    return make_bank(
        [
            CERTAIN_TABLE,
            (OFFSET, -3, integer_frequencies(rng.random(8))),
            (MAGNITUDE, 0, integer_frequencies(rng.random(6))),
            (OFFSET, 1000, integer_frequencies(rng.random(256))),
            (MAGNITUDE, 0, integer_frequencies(rng.random(256))),
            (OFFSET, -32767, integer_frequencies(rng.random(2))),
            (OFFSET, 32767, np.array([TOTAL - 1, 1], np.uint16)),
            (MAGNITUDE, 0, np.array([TOTAL - 1, 1], np.uint16)),
            (OFFSET, 32513, integer_frequencies(rng.random(256))),
        ]
    )


def reference_tables(bank: FrequencyBank) -> list[Table]:
    """The same tables for the reference decoder."""
    return [
        Table(int(bank.kind[t]), int(bank.minimum[t]), bank.frequencies[t, : bank.sizes[t]].tolist())
        for t in range(bank.tables)
    ]


def gaussian_symbols(
    rng: np.random.Generator, bank: FrequencyBank, scales: NDArray[np.float64], tables: NDArray[np.uint8]
) -> NDArray[np.int16]:
    """Symbols that the tables fit; 0 where they are certain."""
    symbols = np.rint(rng.normal(size=tables.shape) * scales[tables]).astype(np.int16)
    symbols[bank.certain[tables]] = 0
    return symbols
