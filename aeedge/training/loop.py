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
from aeedge.training.run import (
    checkpoint_path,
    clear_folder,
    read_tables,
    require_free_folder,
    sweep,
    write_config,
    write_tables,
)
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
    tables: bytes | None = None,
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
        tables: content of a bundle's `entropy.npz`; needed where the decoder is trained alone, for the streams of that
            bundle (see `aeedge_export.run_tables`). The run keeps them.
        max_minutes: stop after so many minutes, to be resumed; 0 for no limit.
        reporter: told what happens.

    Returns:
        Why it ended.

    Raises:
        ArgumentError: the config cannot be trained, or the folder is in use.
        BundleError: the tables are damaged.
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
        tables=tables,
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
    tables: bytes | None,
    max_minutes: float,
    reporter: Reporter,
    compiled: bool,
) -> str:
    stop = StopRequest(max_minutes)
    check_names(config)
    require_free_folder(out, force=force or resume)
    tables = _tables_of_streams(config, read_tables(out) if resume else tables)
    engine = Engine(fabric, config, out, weights, tables, reporter, compiled=compiled)
    fabric.barrier()  # every process has checked the folder and read the data
    if fabric.is_global_zero:
        if resume:
            sweep(out)
        else:
            clear_folder(out)
        write_config(out, config)
        if tables is not None:
            write_tables(out, tables)
    fabric.barrier()
    if resume and checkpoint_path(out, "last").exists():
        engine.restore(checkpoint_path(out, "last"))
    if engine.counters.step >= engine.max_steps:
        return "finished"
    with stop.listening():
        return engine.fit(stop)


def _tables_of_streams(config: RunConfig, tables: bytes | None) -> bytes | None:
    if config.training.trainable != "decoder":
        return None
    if tables is None:
        raise ArgumentError(
            'training.trainable: found "decoder" without the tables of the streams that it must decode; '
            "start with aeedge train --decoder-only --from RUN"
        )
    return tables


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
