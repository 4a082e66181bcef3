"""Opens the engine of a benchmark case; a library is imported only for the case that needs it."""

from pathlib import Path

from aeedge.benchmark.case import AEEDGE, TORCH, Case
from aeedge.benchmark.engines.base import Engine
from aeedge_runtime import Bundle
from aeedge_runtime.errors import ArgumentError


def open_engine(case: Case, bundle: str, run: Path | None, target_psnr_db: float | None) -> Engine:
    """Return the engine of a case, not loaded yet.

    Args:
        case: what will be timed.
        bundle: path or name of the bundle.
        run: the run folder that the bundle was exported from, for PyTorch; None for the weights that ship with the
            bundle's preset.
        target_psnr_db: what a classic codec has to reach.

    Raises:
        ArgumentError: what the engine needs was not given.
    """
    if case.engine == AEEDGE:
        from aeedge.benchmark.engines.aeedge import AeedgeEngine

        return AeedgeEngine(case, bundle)
    if case.engine in TORCH:
        from aeedge.benchmark.engines.torch import TorchEngine

        return TorchEngine(case, run or Bundle.load(bundle).manifest.preset)
    from aeedge.benchmark.engines.classic import ClassicEngine

    if target_psnr_db is None:
        raise ArgumentError("no PSNR to match, expected that of the bundle")
    return ClassicEngine(case, target_psnr_db)
