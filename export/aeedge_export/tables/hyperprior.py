"""The integer tables of a hyperprior, from the symbols it really makes.

The network chooses one of 64 indices for each symbol. What an index means is measured: its table is the histogram of
the magnitudes seen under it, blended with the normal distribution of the scale it was trained for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aeedge.models.exact_prior import LARGEST_SCALE, SMALLEST_SCALE
from aeedge.training.objectives.hyperprior import MOST_SAVED, RATE_WORTH
from aeedge_export.tables.factorized import Arrays
from aeedge_export.tables.fit import (
    CERTAIN_TABLE,
    RARE,
    WINDOW,
    Table,
    cluster,
    count_symbols,
    fit_table,
    group_sums,
    magnitude_table,
    pack,
)
from aeedge_export.tables.steps import coarse
from aeedge_runtime.bundle.manifest import PriorFacts
from aeedge_runtime.bundle.tables import QUALITIES, SCALES, EntropyTables
from aeedge_runtime.entropy.chunk import run_passes
from aeedge_runtime.prior.hyperprior import HyperPrior
from aeedge_runtime.prior.passes import Graph, SymbolRequest
from aeedge_runtime.stream.layout import Span

ANCHORS = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""Qualities at which symbols are counted; the others are interpolated."""

HYPER_TABLES = 120
"""Most tables for hyper-symbols: with 64 for the scales the bank stays well below 256."""

GAUSSIAN_SYMBOLS = 300.0
"""Imagined symbols of the trained shape in each table ..."""

GAUSSIAN_SHARE = 0.002
"""... and as a share of those counted."""

CERTAIN_SHARE, CERTAIN_ENERGY, CERTAIN_COUNT = 0.97, 0.06, 10_000
"""An index is not coded where this share of at least this many symbols is 0 and their mean square is at most this.

At no quality may the share be much lower: a network that does not know what is rare would lose its best qualities.
A nonzero symbol costs more bits there than its error is worth: on photos the indices with 98.5 % zeros left out save
0.4 % of the bytes at equal PSNR, those with 96 % another 0.1 %, those with 91 % lose 0.6 %; on charts and contact
sheets of thumbnails as well. And a third to a half of the symbols need not be coded, which is time.
"""

CERTAIN_SHARE_ANYWHERE, CERTAIN_COUNT_ANYWHERE = 0.95, 500
"""The share at each quality that has at least this many symbols of the index."""


@dataclass
class SymbolCounter:
    """Replaces the coder on a walk over an image: counts hyper-symbols, then symbols by index.

    Attributes:
        channels: hyper-channels.
        certain: `[64]`, which indices are not coded: their symbols become 0.
        dead_zone: `[64]`, what becomes 0 under each index.
        hyper: `[cz, 512]` counts of hyper-symbols.
        scales: `[64, 256]` counts of magnitudes by index; the last column is everything beyond.
        energy: `[64]` sums of squared symbols by index.
    """

    channels: int
    certain: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(SCALES, np.bool_))
    dead_zone: NDArray[np.float32] = field(default_factory=lambda: np.full(SCALES, 0.5, np.float32))
    hyper: NDArray[np.float64] = field(init=False)
    scales: NDArray[np.float64] = field(init=False)
    energy: NDArray[np.float64] = field(init=False)
    _calls: int = 0

    def __post_init__(self) -> None:
        """Start at zero."""
        self.hyper = np.zeros((self.channels, 2 * WINDOW + 2))
        self.scales = np.zeros((SCALES, WINDOW + 2))
        self.energy = np.zeros(SCALES)

    def exchange(self, asked: SymbolRequest) -> NDArray[np.int16]:
        """Symbols of one pass: round half to even and count."""
        wanted, tables = asked.wanted, asked.tables
        if wanted is None:
            raise ValueError("SymbolCounter needs values")
        symbols = np.clip(np.rint(wanted), -32767, 32767).astype(np.int64)
        if self._calls == 0:
            self.hyper += count_symbols(symbols.reshape(1, self.channels, -1)[0].T)
        else:
            symbols[self.certain.take(tables) | (np.abs(wanted) < self.dead_zone.take(tables))] = 0
            self._count(tables.astype(np.int64), symbols)
        self._calls = 0 if asked.last else self._calls + 1
        return symbols.astype(np.int16)

    def _count(self, index: NDArray[np.int64], symbols: NDArray[np.int64]) -> None:
        flat = index * (WINDOW + 2) + np.minimum(np.abs(symbols), WINDOW + 1)
        self.scales += np.bincount(flat, minlength=self.scales.size).reshape(self.scales.shape)
        self.energy += np.bincount(index, weights=np.square(symbols.astype(np.float64)), minlength=SCALES)


def hyperprior_tables(
    latents: list[NDArray[np.float32]],
    steps: NDArray[np.float64],
    facts: PriorFacts,
    graphs: Sequence[Graph],
    hyper_encoder: Graph,
) -> Arrays:
    """Fit the bank, the scale tables and the hyper-tables.

    The shrink is 0: this decoder was trained on rounded latents and recovers the unrounded values by itself. Moving
    symbols towards their mean, as for networks that never saw rounding, costs the photo codec 0.2 dB at every quality.

    Args:
        latents: `[1, c, h, w]` of real images.
        steps: `[100, c]`, learned.
        facts: sizes of the prior.
        graphs: the exact graph of each pass, as `facts.graphs` names them.
        hyper_encoder: the graph from a latent in steps to the hyper-latent.
    """
    steps = coarse(steps)
    walker = HyperPrior(_plain_tables(steps, facts), facts, graphs, hyper_encoder)
    plain = _count(latents, walker, [SymbolCounter(facts.channels) for _ in ANCHORS])
    certain, zone = _certain(plain), dead_zone(np.sum([counter.scales for counter in plain], axis=0))
    counters = _count(latents, walker, [SymbolCounter(facts.channels, certain, zone) for _ in ANCHORS])
    scale_counts = np.sum([counter.scales for counter in counters], axis=0)
    tables: list[Table] = [CERTAIN_TABLE]
    scale_tables = np.zeros(SCALES, np.uint8)
    zones = [0.5]
    for index in range(SCALES):
        if not certain[index]:
            scale_tables[index] = len(tables)
            tables.append(_scale_table(scale_counts[index], index))
            zones.append(zone[index])
    hyper = _between_anchors(np.stack([counter.hyper for counter in counters]))
    histograms = hyper.reshape(-1, hyper.shape[2])
    group = cluster(histograms, np.ones(len(histograms)), HYPER_TABLES)
    hyper_index = (len(tables) + group).reshape(hyper.shape[:2])
    tables += [fit_table(total) for total in group_sums(histograms, group)]
    return {
        **pack(tables),
        "steps": steps.astype(np.float32),
        "offsets": np.zeros(steps.shape[1], np.float32),
        "shrink": np.zeros(steps.shape, np.float32),
        "hyper_table_index": hyper_index.astype(np.uint8),
        "scale_tables": scale_tables,
        "dead_zone": np.array(zones + [0.5] * (len(tables) - len(zones)), np.float32),
    }


def _count(latents: list[NDArray[np.float32]], prior: HyperPrior, counters: list[SymbolCounter]) -> list[SymbolCounter]:
    """Count the symbols of latents, with one counter for each of the anchors."""
    for quality, counter in zip(ANCHORS, counters, strict=True):
        for latent in latents:
            run_passes(prior.walk(quality, Span(0, 1, 0, latent.shape[2]), latent.shape[3], latent), counter.exchange)
    return counters


def _plain_tables(steps: NDArray[np.float64], facts: PriorFacts) -> EntropyTables:
    """Tables under which the walk hands out the network's own index; its bank is never used."""
    from aeedge_runtime.entropy.bank import FrequencyBank

    bank = FrequencyBank.from_arrays(pack([CERTAIN_TABLE]))
    return EntropyTables(
        bank=bank,
        steps=steps.astype(np.float32),
        offsets=np.zeros(steps.shape[1], np.float32),
        shrink=np.zeros(steps.shape, np.float32),
        table_index=None,
        hyper_table_index=np.zeros((QUALITIES, facts.channels), np.uint8),
        scale_tables=np.arange(SCALES, dtype=np.uint8),
    )


def _certain(counters: list[SymbolCounter]) -> NDArray[np.bool_]:
    counts = np.sum([counter.scales for counter in counters], axis=0)
    energy = np.sum([counter.energy for counter in counters], axis=0)
    total = counts.sum(axis=1)
    sure = (counts[:, 0] >= CERTAIN_SHARE * total) & (energy <= CERTAIN_ENERGY * total)
    for counter in counters:
        seen = counter.scales.sum(axis=1)
        sure &= (counter.scales[:, 0] >= CERTAIN_SHARE_ANYWHERE * seen) | (seen < CERTAIN_COUNT_ANYWHERE)
    found: NDArray[np.bool_] = sure & (total >= CERTAIN_COUNT)
    return found


def dead_zone(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return below which distance from 0 a symbol of each index is not worth its bits, `[64]`, 0.5 to below 1.

    As `aeedge.training.objectives.hyperprior.zero_below`, with the bits that symbols really take.

    Args:
        counts: `[64, ...]` of magnitudes, from 0 up.
    """
    saved = 1 + np.log2((counts[:, 0] + 1) / (counts[:, 1] + 1))  # with the sign
    zone: NDArray[np.float32] = (0.5 + RATE_WORTH / 2 * np.clip(saved, 0, MOST_SAVED)).astype(np.float32)
    return zone


def _scale_table(counts: NDArray[np.float64], index: int) -> Table:
    """Blend counts of magnitudes `[257]` with the trained shape; magnitudes up to the last likely one are tokens."""
    total = counts.sum()
    shape = _gaussian(SMALLEST_SCALE * (LARGEST_SCALE / SMALLEST_SCALE) ** (index / (SCALES - 1)))
    blended = counts[:-1] + (GAUSSIAN_SYMBOLS + GAUSSIAN_SHARE * total) * shape
    share = (blended + RARE) / (blended.sum() + counts[-1] + RARE)
    return magnitude_table(share)


def _gaussian(scale: float) -> NDArray[np.float64]:
    """Probabilities of magnitudes 0..255 under a normal distribution of this scale, with a heavier tail."""
    edges = (np.arange(WINDOW + 2) - 0.5) / (scale * math.sqrt(2))
    below = np.array([math.erf(edge) for edge in edges])
    share = np.diff(below)
    share[0] = below[1]
    tail = np.exp(-np.arange(WINDOW + 1) / (2 * scale + 0.1))
    blended: NDArray[np.float64] = 0.99 * share + 0.01 * tail / tail.sum()
    return blended


def _between_anchors(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate `[anchors, ...]` linearly to `[100, ...]`."""
    places = np.interp(np.arange(1, QUALITIES + 1), ANCHORS, np.arange(len(ANCHORS)))
    below = np.minimum(places.astype(int), len(ANCHORS) - 2)
    share = (places - below).reshape(-1, *[1] * (values.ndim - 1))
    between: NDArray[np.float64] = values[below] * (1 - share) + values[below + 1] * share
    return between
