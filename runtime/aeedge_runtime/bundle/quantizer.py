"""Scalar quantization: latents to steps, and symbols back to latents."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", NDArray[np.float32], NDArray[np.float64])


def by_channel(row: NDArray[Any]) -> NDArray[Any]:
    """Return a view [1, c, 1, 1] of [c], to combine with latents [n, c, h, w]."""
    return row.reshape(1, -1, 1, 1)


def to_steps(latent: Values, steps: Values, offsets: Values) -> Values:
    """Return (latent - offset) / step: what rounds to the symbols. All three broadcast."""
    values: Values = latent - offsets
    values /= steps
    return values


def dequantize(symbols: Values, steps: Values, offsets: Values, shrink: Values, means: Values | None = None) -> Values:
    """Turn symbols into latents, in place: offset + (symbol - shrink * sign(symbol) + mean) * step.

    The mean of the values that round to a symbol is a little closer to zero than the symbol: hence the shrink.

    Args:
        symbols: integers as floats; overwritten with the latents.
        steps: quantizer steps; this and the others broadcast to `symbols`.
        offsets: latents of symbol 0.
        shrink: pull towards zero, in steps.
        means: predicted means, in steps; None for zeros.
    """
    if shrink.any():
        symbols -= shrink * np.sign(symbols)
    if means is not None:
        symbols += means
    symbols *= steps
    if offsets.any():
        symbols += offsets
    return symbols
