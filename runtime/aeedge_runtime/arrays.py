"""Types of arrays, and checks of numbers and arrays."""

from __future__ import annotations

from typing import Any, Protocol

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


class SupportsArray(Protocol):
    """An object that NumPy can view as an array, such as a PyTorch tensor on the CPU."""

    def __array__(self) -> NDArray[Any]: ...


class SupportsDlpack(Protocol):
    """An object that shares its memory by DLPack, such as an array of JAX or CuPy."""

    def __dlpack__(self) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


def is_array(value: object) -> bool:
    """Return whether a value is an array of NumPy or of another library."""
    return isinstance(value, np.ndarray) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def array_of(value: object, name: str) -> NDArray[Any]:
    """Return an array of NumPy or of another library as one of NumPy, in the machine's byte order.

    Raises:
        ArgumentError: it is no array, or one that only a GPU can read or whose gradient is recorded.
    """
    try:
        if hasattr(value, "__array__"):
            array: NDArray[Any] = np.asarray(value)
        elif hasattr(value, "__dlpack__"):
            array = np.from_dlpack(value)
        else:
            raise ArgumentError(
                f"{name}: found {type(value).__name__}, expected a path, bytes, an open file, a PIL image or an array"
            )
    except (TypeError, RuntimeError, BufferError) as error:
        message = " ".join(str(error).split())
        raise ArgumentError(f"{name}: {type(value).__name__} cannot be read as an array ({message:.200})") from error
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


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
