"""The integer tables of a factorized prior, from the latents of real images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge_export.tables.fit import (
    CERTAIN_TABLE,
    WINDOW,
    Table,
    cluster,
    count_symbols,
    fit_table,
    group_sums,
    pack,
    symbol_bits,
)
from aeedge_runtime.bundle.quantizer import dequantize, to_steps
from aeedge_runtime.bundle.tables import QUALITIES

CERTAIN_SHARE = 0.9995
"""A channel is not coded at a quality where at least this share of its symbols is 0 ..."""

CERTAIN_REACH = 1.0
"""... and no calibration latent was further than this many steps from the offset: what is lost is bounded."""

MOST_SAMPLES = 1 << 19
"""Latent values that are counted per quality; more change no table."""

SHRINK_UNITS = 256
"""Shrinks are multiples of 1/256."""

SHRINK_PRIOR = 16
"""Imagined symbols without shrink, so that a few rare ones do not decide."""

ANCHORS = (1, 20, 40, 60, 80, 100)
"""Qualities at which reconstructions are tried; the others are interpolated."""

SHRINK_SHARES = (0.0, 0.5, 1.0)
"""Shares of the fitted shrink that are tried. A decoder is not linear: the mean latent need not give the mean image."""

Arrays = dict[str, NDArray[np.generic]]
ErrorOf = Callable[[list[NDArray[np.float32]]], float]


@dataclass(frozen=True)
class FactorizedTables:
    """Tables of a factorized prior.

    Attributes:
        arrays: content of `entropy.npz`.
        bits: `[100]` model cost per latent position.
        dead: channels that are never coded, at any quality.
    """

    arrays: Arrays
    bits: NDArray[np.float64]
    dead: int


def factorized_tables(
    latent: NDArray[np.float32], steps: NDArray[np.float64], offset: NDArray[np.float64]
) -> FactorizedTables:
    """Fit the bank, the table index and the shrink of every quality and channel.

    Args:
        latent: `[M, c]` of real images.
        steps: `[100, c]`.
        offset: `[c]`.
    """
    kept = latent[:: -(-latent.size // MOST_SAMPLES)].astype(np.float64) - offset
    channels = latent.shape[1]
    counts = np.empty((QUALITIES, channels, 2 * WINDOW + 2))
    shrink = np.zeros((QUALITIES, channels))
    certain = np.zeros((QUALITIES, channels), bool)
    for row in range(QUALITIES):
        scaled = kept / steps[row]
        symbols = np.rint(scaled).astype(np.int64)
        counts[row] = count_symbols(symbols)
        shrink[row] = fit_shrink(scaled, symbols)
        zeros = counts[row, :, WINDOW] / len(kept)
        certain[row] = (zeros >= CERTAIN_SHARE) & (np.abs(scaled).max(axis=0) <= CERTAIN_REACH)
    return _bank(counts, shrink, certain, steps, offset)


def fit_shrink(scaled: NDArray[np.float64], symbols: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far a nonzero symbol's mean latent is nearer to 0 than it, `[c]`, in steps, 0 to below 0.5."""
    magnitude = np.abs(symbols)
    excess = np.where(magnitude > 0, magnitude - np.abs(scaled), 0).sum(axis=0)
    share = excess / ((magnitude > 0).sum(axis=0) + SHRINK_PRIOR)
    shrink: NDArray[np.float64] = np.clip(np.rint(share * SHRINK_UNITS), 0, SHRINK_UNITS // 2 - 1) / SHRINK_UNITS
    return shrink


def choose_shrink(arrays: Arrays, latents: Sequence[NDArray[np.float32]], error: ErrorOf) -> Arrays:
    """Return the arrays with the share of the shrink that reconstructs the images best, quality by quality.

    Args:
        arrays: of a factorized prior.
        latents: `[N, c, h, w]` of some images.
        error: squared error of the images that dequantized latents decode to.
    """
    best = []
    for quality in ANCHORS:
        errors = [error(restore(arrays, quality, latents, share)) for share in SHRINK_SHARES]
        best.append(SHRINK_SHARES[int(np.argmin(errors))])
    share = np.interp(np.arange(1, QUALITIES + 1), ANCHORS, best)[:, None]
    shrink = np.rint(arrays["shrink"].astype(np.float64) * share * SHRINK_UNITS) / SHRINK_UNITS
    return {**arrays, "shrink": shrink.astype(np.float32)}


def restore(
    arrays: Arrays, quality: int, latents: Sequence[NDArray[np.float32]], share: float
) -> list[NDArray[np.float32]]:
    """Quantize latents at a quality and dequantize them with a share of the shrink."""
    step, offset, shrink = (
        arrays[name].astype(np.float64).reshape(-1, arrays["offsets"].size)[row][:, None, None]
        for name, row in (("steps", quality - 1), ("offsets", 0), ("shrink", quality - 1))
    )
    restored = []
    for latent in latents:
        symbols = np.rint(to_steps(latent.astype(np.float64), step, offset))
        restored.append(dequantize(symbols, step, offset, share * shrink).astype(np.float32))
    return restored


def _bank(
    counts: NDArray[np.float64],
    shrink: NDArray[np.float64],
    certain: NDArray[np.bool_],
    steps: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> FactorizedTables:
    bits_weight = 1 / np.maximum(_entropy(counts).sum(axis=1), 1e-3)
    weights = np.repeat(bits_weight, counts.shape[1]).reshape(certain.shape)
    index = np.zeros(certain.shape, np.uint8)
    tables = [CERTAIN_TABLE]
    coded = ~certain
    if coded.any():
        histograms = counts[coded]
        group = cluster(histograms, weights[coded])
        tables += [fit_table(total) for total in group_sums(histograms, group)]
        index[coded] = 1 + group
    arrays: Arrays = {
        **pack(tables),
        "steps": steps.astype(np.float32),
        "offsets": offset.astype(np.float32),
        "shrink": np.where(certain, 0, shrink).astype(np.float32),
        "table_index": index,
    }
    return FactorizedTables(arrays, _cost(counts, arrays).sum(axis=1), int(certain.all(axis=0).sum()))


def _entropy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits per symbol of histograms `[..., b]`."""
    share = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    bits: NDArray[np.float64] = -(share * np.log2(np.maximum(share, 1e-12))).sum(axis=-1)
    return bits


def _cost(counts: NDArray[np.float64], arrays: Arrays) -> NDArray[np.float64]:
    """Bits per symbol `[100, c]` of the histograms under the integer tables."""
    bits = table_bits(arrays)
    share = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    cost: NDArray[np.float64] = np.einsum("qcb,qcb->qc", share, bits[arrays["table_index"].astype(np.int64)])
    return cost


def table_bits(arrays: Arrays) -> NDArray[np.float64]:
    """Bits of every symbol -255..255 and of one beyond, under every table, `[T, 512]`."""
    rows = []
    for row, size in enumerate(arrays["bank_sizes"].astype(int)):
        minimum, kind = int(arrays["bank_minimum"][row]), int(arrays["bank_kind"][row])
        rows.append(symbol_bits(Table(arrays["bank_frequencies"][row, :size].astype(np.uint16), minimum, kind)))
    return np.stack(rows)
