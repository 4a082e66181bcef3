"""What a benchmark asks of anything that it times."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aeedge.benchmark.case import AEEDGE, TORCH, Case
from aeedge.benchmark.inputs import Item
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.rate_search import psnr_db


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


def open_engine(case: Case, bundle: str, run: Path | None, target_psnr_db: float | None) -> Engine:
    """Return the engine of a case, not loaded yet.

    Args:
        case: what will be timed.
        bundle: place or name of the bundle.
        run: the run folder that the bundle was exported from, for PyTorch.
        target_psnr_db: what a classic codec has to reach.

    Raises:
        ArgumentError: what the engine needs was not given.
    """
    if case.engine == AEEDGE:
        from aeedge.benchmark.engines.aeedge import AeedgeEngine

        return AeedgeEngine(case, bundle)
    if case.engine in TORCH:
        from aeedge.benchmark.engines.torch import TorchEngine

        if run is None:
            raise ArgumentError("found no run folder to load the PyTorch model from; name it with --run")
        return TorchEngine(case, run)
    from aeedge.benchmark.engines.classic import ClassicEngine

    if target_psnr_db is None:
        raise ArgumentError("found no PSNR to match, expected the bundle's")
    return ClassicEngine(case, target_psnr_db)


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
