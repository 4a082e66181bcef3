"""Quantizer steps of 100 qualities: their ladder from coarse to fine and their shape over the channels.

With uniform noise of step^2 / 12 and sensitivity S_c, bits are best spent where equal distortion costs equal bits:
step_c is proportional to S_c^-1/2 ("reverse water-filling"). For a vae the decoder was trained under the noise of the
posterior, and its spread takes the place of S_c^-1/2. One factor scales the shape; it is log-spaced over qualities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime.bundle.tables import QUALITIES

FINEST_SHARE = 0.01
"""At quality 100 quantization adds this share of the error that the network makes without it ..."""

FINEST_MSE = 1e-5
"""... but aims no lower than this mean squared error (pixels in 0..1; 50 dB)."""

COARSEST_SHARE = 6.0
"""At quality 1 quantization adds this many times the error of the network ..."""

COARSEST_MSE = 3e-3
"""... and at least this (25 dB)."""

NOISE_FLOOR = 4e-3
"""Smallest step as a share of the largest latent of its channel: float32 rounding, some 1e-6 of it, stays well below
a thousandth of a step."""

DEAD_STEP = 4.0
"""Largest step as a multiple of the largest distance from the offset: all symbols are then 0, with room."""

SILENT_SHARE, SILENT_STANDIN = 1e-3, 1 / 8
"""A channel that reaches less than this share of what the widest one does was silent in calibration. A dead rectifier
may still speak on other images: it is taken to reach this share instead, so that its step is not absurdly fine."""

SIGNIFICANT = 2.0**-10
"""Steps, offsets and shrinks keep this relative precision, so that a last bit elsewhere changes no bundle."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LatentStatistics:
    """Per-channel statistics of the latents of real images, `[c]` each."""

    offset: Vector
    variance: Vector
    largest: Vector
    reach: Vector


def statistics(latent: NDArray[np.float32]) -> LatentStatistics:
    """Measure latents `[M, c]`: variance and reach are around the offset, `largest` is the largest magnitude."""
    values = latent.astype(np.float64)
    offset = choose_offsets(values)
    distance = values - offset
    largest, reach = np.abs(values).max(axis=0), np.abs(distance).max(axis=0)
    return LatentStatistics(offset, np.square(distance).mean(axis=0), largest, reach)


def choose_offsets(values: Vector) -> Vector:
    """Return the latent that symbol 0 stands for, `[c]`: 0 where a rectifier makes many exact zeros, else the mean."""
    zeros = (values == 0).mean(axis=0)
    return coarse(np.where(zeros > 0.1, 0.0, values.mean(axis=0)))


def ladder(shape: Vector, sensitivity: Vector, found: LatentStatistics, network_mse: float, values: int) -> Vector:
    """Return steps `[100, c]` for qualities 1..100.

    Args:
        shape: `[c]` steps relative to one another.
        sensitivity: `[c]` squared pixel change, summed, per squared unit of latent.
        found: statistics of the latents.
        network_mse: squared error of the network itself, mean over pixel values in 0..1.
        values: pixel values (rows * columns * channels) per latent position.
    """
    coarsest = max(COARSEST_SHARE * network_mse, COARSEST_MSE)
    finest = max(FINEST_SHARE * network_mse, FINEST_MSE)
    high = _scale_for(coarsest * values, shape, sensitivity, found)
    low = min(_scale_for(finest * values, shape, sensitivity, found), high / 8)
    scale = np.geomspace(high, low, QUALITIES)[:, None]
    silent = found.reach < SILENT_SHARE * found.reach.max()
    heard, reach = (
        np.where(silent, np.maximum(values, SILENT_STANDIN * values.max()), values)
        for values in (found.largest, found.reach)
    )
    smallest = np.maximum(NOISE_FLOOR * heard, 1e-6)
    largest = np.maximum(DEAD_STEP * reach, smallest)
    return coarse(np.clip(scale * shape, smallest, largest))


def coarse(values: Vector) -> Vector:
    """Round to about three significant digits, in powers of two, so that float32 holds the result exactly."""
    exponent = np.floor(np.log2(np.maximum(np.abs(values), 1e-30)))
    unit = np.exp2(exponent) * SIGNIFICANT
    return np.where(np.abs(values) < 1e-12, 0.0, np.rint(values / unit) * unit)


def _scale_for(error: float, shape: Vector, sensitivity: Vector, found: LatentStatistics) -> float:
    """Return the factor on `shape` whose quantization adds `error` (summed over the values of one position)."""
    low, high = 1e-9, 1e9
    error = min(error, 0.9 * float((sensitivity * found.variance).sum()))  # more than everything cannot be lost
    for _ in range(200):
        middle = float(np.sqrt(low * high))
        added = (sensitivity * np.minimum((middle * shape) ** 2 / 12, found.variance)).sum()
        low, high = (middle, high) if added < error else (low, middle)
    return low
