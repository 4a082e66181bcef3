"""The interface of everything that a benchmark times, and the checks of its results."""

import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from aeedge.benchmark.inputs import Item
from aeedge_runtime.errors import AeedgeError
from aeedge_runtime.images.psnr import psnr_db


class WrongResultError(AeedgeError):
    """A timed call gave a wrong result, so its time means nothing."""


class Engine(Protocol):
    """One way to do an operation; `run` is what is timed."""

    def load(self) -> None:
        """Load the model; timed as `load_ms`."""

    def prepare(self, items: list[Item]) -> None:
        """Get inputs ready; not timed."""

    def run(self, number: int) -> Any:
        """Do the operation on an item and return bytes or an array."""

    def verify(self, number: int, result: Any) -> Mapping[str, Any]:
        """Check a result, and return facts about it: `bytes` and `psnr_db` where they apply.

        Raises:
            WrongResultError: it is not what it must be.
        """

    def providers(self) -> Mapping[str, str]:
        """Return what really runs each graph, by its role."""


def fingerprint(result: Any) -> int:
    """Return a checksum of bytes or an array: equal results have equal ones."""
    data = result if isinstance(result, bytes) else np.ascontiguousarray(result).view(np.uint8).data
    return zlib.crc32(data)


def psnr_or_none(first: Any, second: Any) -> float | None:
    """Return the PSNR in dB of uint8 arrays of one shape, pooled over all values; None where they are equal."""
    found = psnr_db(first, second)
    return None if found == float("inf") else found


def check_pixels(found: Any, expected: Any, *, at_most: int = 1) -> None:
    """Compare decoded images, uint8 [N, H, W, C].

    Raises:
        WrongResultError: another shape, or values that differ by more than `at_most`.
    """
    if found.shape != expected.shape:
        raise WrongResultError(f"the decoded images are {found.shape}, expected {expected.shape}")
    difference = max(
        int(np.abs(one.astype(np.int16) - other).max()) for one, other in zip(found, expected, strict=True)
    )
    if difference > at_most:
        raise WrongResultError(
            f"the decoded pixels differ by {difference} from the reference, expected at most {at_most}"
        )
