"""Types of arrays, and checks of numbers and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError

Pixels = NDArray[np.uint8]
"""Samples of images, 0..255."""

Floats = NDArray[np.float32]
"""Latents, and what networks compute from them."""

Symbols = NDArray[np.int16]
"""Input of an entropy coder."""

UINT8, FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
"""Comparing a dtype with these takes a fifth of the time that NumPy's scalar types take."""


def whole(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return a value that must be an integer of Python or NumPy, at least `least` and at most `most`.

    Raises:
        ArgumentError: it is not an integer, or out of range; the message calls it `name`.
    """
    if not isinstance(value, bool) and isinstance(value, int | np.integer):
        number = int(value)
        if number >= least and (most is None or number <= most):
            return number
    expected = f"of at least {least}" if most is None else f"in {least}..{most}"
    raise ArgumentError(f"{name}: found {value!r}, expected an integer {expected}")


def all_finite(values: NDArray[Any]) -> bool:
    """Return whether an array holds neither NaN nor infinity.

    Counting takes half the time of `all` right after a network has run: see `coding.small_images`.
    """
    return bool(np.count_nonzero(np.isfinite(values)) == values.size)
