"""`train`: a run from its config to its folder, at once, in pieces or on several devices."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from aeedge.configuration import nearest
from aeedge.training.config import RunConfig
from aeedge.training.corruption import Corruption
from aeedge.training.engine import Engine
from aeedge.training.hardware import Hardware
from aeedge.training.losses import DISTORTIONS
from aeedge.training.optimizers import OPTIMIZERS
from aeedge.training.reporter import Reporter, Silent
from aeedge.training.run import checkpoint_path, clear_folder, require_free_folder, sweep, write_config
from aeedge.training.stop import StopRequest
from aeedge_runtime.errors import ArgumentError


def train(
    config: RunConfig,
    out: Path | str,
    *,
    hardware: Hardware | None = None,
    resume: bool = False,
    force: bool = False,
    weights: Mapping[str, Tensor] | None = None,
    max_minutes: float = 0.0,
    reporter: Reporter | None = None,
) -> str:
    """Train a run into a folder.

    Args:
        config: everything that decides the result.
        out: the run folder.
        hardware: devices; one device of the best kind by default.
        resume: continue from the last checkpoint in `out`.
        force: replace an earlier run in `out`.
        weights: initial weights of the model by name; drawn from the seed when None.
        max_minutes: stop after so many minutes, to be resumed; 0 for no limit.
        reporter: told what happens.

    Returns:
        Why it ended.

    Raises:
        ArgumentError: the config cannot be trained, or the folder is in use.
        InputError: the checkpoint to resume from is not usable.
        AeedgeError: the loss became non-finite, or a checkpoint could not be written.
    """
    hardware = hardware or Hardware()
    fabric = hardware.fabric(config.training.precision)
    run = partial(
        _train,
        config=config,
        out=Path(out),
        resume=resume,
        force=force,
        weights=weights,
        max_minutes=max_minutes,
        reporter=reporter or Silent(),
        compiled=hardware.compile,
    )
    if "spawn" in hardware.strategy or "fork" in hardware.strategy or "notebook" in hardware.strategy:
        reason: str = fabric.launch(run)
        return reason
    fabric.launch()
    return run(fabric)


def _train(
    fabric: Any,
    config: RunConfig,
    out: Path,
    resume: bool,
    force: bool,
    weights: Mapping[str, Tensor] | None,
    max_minutes: float,
    reporter: Reporter,
    compiled: bool,
) -> str:
    stop = StopRequest(max_minutes)
    check_names(config)
    require_free_folder(out, force=force or resume)
    engine = Engine(fabric, config, out, weights, reporter, compiled=compiled)
    fabric.barrier()  # every process has checked the folder and read the data
    if fabric.is_global_zero:
        if resume:
            sweep(out)
        else:
            clear_folder(out)
        write_config(out, config)
    fabric.barrier()
    if resume and checkpoint_path(out, "last").exists():
        engine.restore(checkpoint_path(out, "last"))
    if engine.counters.step >= engine.max_steps:
        return "finished"
    with stop.listening():
        return engine.fit(stop)


def check_names(config: RunConfig) -> None:
    """Refuse names that only training resolves, before any data is read.

    Raises:
        ArgumentError: an unknown optimiser, distortion or corruption.
    """
    training = config.training
    _require("training.optimizer.name", training.optimizer.name, OPTIMIZERS)
    for term in training.loss.terms:
        _require("training.loss.terms", term, DISTORTIONS)
    if training.corrupt:
        Corruption.parse(training.corrupt)


def _require(key: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ArgumentError(f'{key}: found "{name}"{nearest(name, known)}')
