"""Histograms of symbols to a bank of integer frequency tables.

Thousands of histograms (one per quality and channel) share at most `MOST_TABLES` tables: Lloyd's algorithm with the
Kullback-Leibler divergence, so that a table is the mean of its members and what is minimized is bits. Tables are
smoothed: a symbol that the calibration images never had stays codable, at a cost near what its neighbors suggest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOTAL = 1 << 14
OFFSET, MAGNITUDE, CERTAIN = 0, 1, 2

WINDOW = 255
"""Histograms count symbols -255..255; those beyond are escapes in every table."""

MOST_TOKENS = 256
MOST_TABLES = 200
"""Leaves room in a bank of 256 for the tables of a hyperprior."""

ROUNDS = 10
"""Of Lloyd's algorithm; after ten the bits change by less than 0.01 %."""

SYMMETRY_COST = 0.002
"""Share of its bits that folding the two sides of a table may cost; raw signs are faster than modeled ones."""

RARE = 6e-6
"""Probability below which a token costs more (its frequency of at least 1) than the escapes that it saves."""

Counts = NDArray[np.float64]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """One table: token frequencies that sum to 16384, the escape last; see FORMAT.md for the kinds."""

    frequencies: NDArray[np.uint16]
    minimum: int
    kind: int


CERTAIN_TABLE = Table(np.array([TOTAL], np.uint16), 0, CERTAIN)


def count_symbols(symbols: NDArray[np.int64]) -> Counts:
    """Count symbols `[M, c]` per channel as `[c, 512]`: columns -255..255, then everything beyond."""
    channels = symbols.shape[1]
    inside = np.abs(symbols) <= WINDOW
    column = np.where(inside, symbols + WINDOW, 2 * WINDOW + 1)
    flat = column + np.arange(channels) * (2 * WINDOW + 2)
    counts = np.bincount(flat.ravel(), minlength=channels * (2 * WINDOW + 2))
    return counts.reshape(channels, 2 * WINDOW + 2).astype(np.float64)


def cluster(counts: Counts, weights: Array, most: int = MOST_TABLES) -> NDArray[np.int64]:
    """Group histograms so that sharing one table per group costs few bits.

    Args:
        counts: `[n, b]` histograms.
        weights: `[n]` importance of one symbol of each histogram.
        most: largest number of groups.

    Returns:
        `[n]` group of each histogram, 0 upwards without holes, ordered by spread.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    order = np.argsort(_spread(shares), kind="stable")
    shares = shares[:, shares.any(axis=0)].astype(np.float32)
    group = np.empty(len(counts), np.int64)
    group[order] = np.arange(len(counts)) * min(most, len(counts)) // max(len(counts), 1)
    for _ in range(ROUNDS):
        means = _means(shares, weights, group)
        closest = np.argmin(-shares @ np.log(means).T, axis=1)
        if np.array_equal(closest, group):
            break
        group = closest
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def group_sums(rows: Array, group: NDArray[np.int64]) -> Array:
    """Return the sum of the rows `[n, b]` of each group; a group of `cluster` without rows gives zeros."""
    order = np.argsort(group, kind="stable")
    numbers, starts = np.unique(group[order], return_index=True)
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    sums[numbers] = np.add.reduceat(rows[order], starts, axis=0)
    return sums


def fit_table(counts: Counts) -> Table:
    """Make a table of one histogram `[512]`: smoothed, folded where that costs little, trimmed, in integers."""
    share = smooth(counts)
    folded = (share[: 2 * WINDOW + 1] + share[2 * WINDOW :: -1]) / 2
    magnitude = magnitude_table(np.concatenate([folded[WINDOW : WINDOW + 1], 2 * folded[WINDOW + 1 :]]))
    offset = _offset_table(share)
    cheaper = (share * symbol_bits(magnitude)).sum() <= (1 + SYMMETRY_COST) * (share * symbol_bits(offset)).sum()
    return magnitude if cheaper else offset


def symbol_bits(table: Table) -> Array:
    """Return the cost of symbols -255..255 and of one beyond, `[512]`, raw bits included; 0 where it is certain."""
    if table.kind == CERTAIN:
        return np.zeros(2 * WINDOW + 2)
    token = 14 - np.log2(table.frequencies.astype(np.float64))
    bits = np.full(2 * WINDOW + 2, token[-1] + 16)
    size = len(token) - 1
    if table.kind == OFFSET:
        first = table.minimum + WINDOW
        bits[first : first + size] = token[:-1]
    else:
        bits[WINDOW + 1 : WINDOW + size] = token[1:-1] + 1
        bits[WINDOW - size + 1 : WINDOW] = token[-2:0:-1] + 1
        bits[WINDOW] = token[0]
    return bits


def smooth(counts: Counts) -> Array:
    """Return probabilities `[512]`, all positive: counts mixed with two discrete Laplace shapes of matching spread."""
    total = max(counts.sum(), 1.0)
    symbols = np.arange(-WINDOW, WINDOW + 1)
    inside = counts[:-1]
    center = (inside * symbols).sum() / total
    spread = (inside * np.abs(symbols - center)).sum() / total + 1 / total
    shape = 0.8 * _laplace(symbols - center, spread) + 0.2 * _laplace(symbols - center, 4 * spread)
    weight = 4.0 + 0.004 * total
    mixed = np.empty(len(counts))
    mixed[:-1] = inside + weight * shape
    mixed[-1] = counts[-1] + weight * max(1 - shape.sum(), 1e-7)
    share: Array = np.maximum(mixed / mixed.sum(), 1e-12)
    return share


def to_frequencies(share: Array) -> NDArray[np.uint16]:
    """Return integer frequencies of probabilities `[n]`, each at least 1, that sum to 16384."""
    wanted = share / share.sum() * TOTAL
    frequencies = np.maximum(np.floor(wanted).astype(np.int64), 1)
    missing = TOTAL - int(frequencies.sum())
    if missing > 0:
        order = np.argsort(frequencies - wanted, kind="stable")
        frequencies += missing // len(share)
        frequencies[order[: missing % len(share)]] += 1
    while missing < 0:  # many tokens were raised to 1: the most frequent ones pay
        largest = int(np.argmax(frequencies))
        taken = min(-missing, max(1, int(frequencies[largest]) // 64))
        frequencies[largest] -= taken
        missing += taken
    result: NDArray[np.uint16] = frequencies.astype(np.uint16)
    return result


def _spread(shares: Array) -> Array:
    symbols = np.append(np.arange(-WINDOW, WINDOW + 1), 2 * WINDOW).astype(np.float64)
    center = shares @ symbols
    return np.sqrt(np.maximum(shares @ symbols**2 - center**2, 0)) + 1e-3 * np.abs(center)


def _means(shares: NDArray[np.float32], weights: Array, group: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weighted mean histogram of each group, mixed with a little of the mean of all so that logarithms are finite."""
    scaled = (weights / weights.max()).astype(np.float32)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    sums = np.stack([scaled[part] @ shares[part] for part in members])
    sums /= np.maximum(sums.sum(axis=1, keepdims=True), 1e-30)
    everything = sums.mean(axis=0) + 1e-9
    means: NDArray[np.float32] = 0.9995 * sums + 0.0005 * everything / everything.sum()
    return means


def _laplace(distance: Array, spread: float) -> Array:
    """Discrete two-sided geometric shape around 0 with about that mean absolute value, summing to at most 1."""
    decay = np.sqrt(1 + spread**2) - 1
    ratio = decay / spread if spread > 1e-9 else spread / 2
    return (1 - ratio) / (1 + ratio) * ratio ** np.abs(distance)


def magnitude_table(share: Array) -> Table:
    """Table of magnitudes 0..: `share` is `[256]`."""
    useful = np.flatnonzero(share > RARE)
    size = min(int(useful[-1]) + 1 if len(useful) else 1, MOST_TOKENS - 1)
    escape = max(1 - share[:size].sum(), 1e-9)
    return Table(to_frequencies(np.append(share[:size], escape)), 0, MAGNITUDE)


def _offset_table(share: Array) -> Table:
    """Table of symbols: `share` is `[512]`; the window of at most 255 symbols that holds the most is kept."""
    inside = share[:-1]
    useful = np.flatnonzero(inside > RARE)
    first, last = int(useful[0]), int(useful[-1])
    width = MOST_TOKENS - 1
    if last - first + 1 > width:
        sums = np.convolve(inside, np.ones(width), mode="valid")
        first = int(np.argmax(sums))
        last = first + width - 1
    escape = max(1 - inside[first : last + 1].sum(), 1e-9)
    return Table(to_frequencies(np.append(inside[first : last + 1], escape)), first - WINDOW, OFFSET)


def pack(tables: list[Table]) -> dict[str, NDArray[np.generic]]:
    """Return the `bank_*` arrays of `entropy.npz` for a list of tables."""
    widest = max(len(table.frequencies) for table in tables)
    frequencies = np.zeros((len(tables), widest), np.uint16)
    for row, table in enumerate(tables):
        frequencies[row, : len(table.frequencies)] = table.frequencies
    return {
        "bank_frequencies": frequencies,
        "bank_sizes": np.array([len(table.frequencies) for table in tables], np.uint16),
        "bank_minimum": np.array([table.minimum for table in tables], np.int16),
        "bank_kind": np.array([table.kind for table in tables], np.uint8),
    }
