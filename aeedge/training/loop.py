"""Trains a run from its config to its folder: in one go or resumed, on one device or several."""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from aeedge.configuration import flat, nearest
from aeedge.models import OwnNetwork
from aeedge.training.config import RunConfig
from aeedge.training.data.corruption import Corruption
from aeedge.training.engine import Engine
from aeedge.training.hardware import Hardware
from aeedge.training.objectives.losses import DISTORTIONS
from aeedge.training.optimizers import OPTIMIZERS
from aeedge.training.reporting.reporter import Reporter, Silent
from aeedge.training.run.folder import (
    CONFIG,
    checkpoint_path,
    put_back,
    read_config,
    read_tables,
    recover,
    require_free_folder,
    set_aside,
    sweep,
    write_code,
    write_config,
    write_tables,
)
from aeedge.training.run.logbook import METRICS, read_metrics
from aeedge.training.stop_request import StopRequest
from aeedge_runtime.errors import AeedgeError, ArgumentError

MAY_CHANGE = frozenset(
    {
        "data.data_dir",
        "data.others",
        "data.source",
        "training.checkpoint_steps",
        "training.epochs",
        "training.max_steps",
        "training.optimizer.decay_share",
        "training.optimizer.final_share",
        "training.optimizer.learning_rate",
        "training.patience",
        "training.precision",
        "training.validate_steps",
    }
)
"""Keys of a config that may change when a run is resumed: its length and speed, and the path of the same images."""


def train(
    config: RunConfig,
    out: Path | str,
    *,
    hardware: Hardware | None = None,
    resume: bool = False,
    force: bool = False,
    weights: Mapping[str, Tensor] | None = None,
    tables: bytes | None = None,
    network: OwnNetwork | None = None,
    stop: StopRequest | None = None,
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
            bundle (see `aeedge_export.decoder_start`). The run keeps them.
        network: the user's own network, if the config is of one; built in every process.
        stop: ends training before its last step, to be resumed; by default SIGINT and SIGTERM do, and no time limit.
        reporter: called when something happens.

    Returns:
        Why it ended.

    Raises:
        ArgumentError: the config cannot be trained, or the folder is in use.
        BundleError: the tables are damaged.
        InputError: the checkpoint to resume from is not usable.
        AeedgeError: the loss became non-finite, or a checkpoint could not be written.
    """
    if resume:
        recover(Path(out))
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
        network=network,
        stop=stop or StopRequest(),
        reporter=reporter or Silent(),
        compiled=hardware.compile,
    )
    if "spawn" in hardware.strategy or "fork" in hardware.strategy or "notebook" in hardware.strategy:
        ended: str | AeedgeError = fabric.launch(partial(_as_result, run))
        if isinstance(ended, AeedgeError):
            raise ended
        return ended
    fabric.launch()
    return run(fabric)


def _as_result(run: Callable[[Any], str], fabric: Any) -> str | AeedgeError:
    """Return an expected failure: raised in a spawned process, it would arrive as a traceback in text.

    What arrives is of the first process; the others say theirs here.
    """
    try:
        return run(fabric)
    except AeedgeError as error:
        if not fabric.is_global_zero:
            logging.getLogger(__name__).error(str(error))
        return error


def _train(
    fabric: Any,
    config: RunConfig,
    out: Path,
    resume: bool,
    force: bool,
    weights: Mapping[str, Tensor] | None,
    tables: bytes | None,
    network: OwnNetwork | None,
    stop: StopRequest,
    reporter: Reporter,
    compiled: bool,
) -> str:
    check_names(config)
    require_free_folder(out, force=force or resume)
    if resume and (out / CONFIG).exists():
        check_continuation(read_config(out), config)
    tables = _tables_of_streams(config, read_tables(out) if resume else tables)
    engine = Engine(fabric, config, out, weights, tables, reporter, compiled=compiled, network=network)
    if resume and checkpoint_path(out, "last").exists():
        engine.restore(checkpoint_path(out, "last"))
        read_metrics(out / METRICS)  # refused by every process, not only by the one that writes to it
    if engine.counters.step > engine.max_steps:
        raise ArgumentError(
            f"training.max_steps: found {engine.max_steps:,}, expected at least the {engine.counters.step:,} steps "
            "that the run has done"
        )
    fabric.barrier()  # every process has checked the folder and read data and checkpoint; only now is anything written
    if fabric.is_global_zero:
        if resume:
            sweep(out)
        else:
            set_aside(out)
        if tables is not None:
            write_tables(out, tables)
        if weights is not None and not resume:
            engine.save()  # a run that is killed before its first checkpoint resumes from these weights too
        if network is not None and not resume:
            write_code(out, network.code())
        write_config(out, config)
    fabric.barrier()
    if engine.counters.step >= engine.max_steps:
        if fabric.is_global_zero:
            reporter.finish(f"all {engine.max_steps:,} steps were done before")
        return "finished"
    try:
        with stop.listening():
            return engine.fit(stop)
    except BaseException:
        if engine.counters.step == 0 and not resume and fabric.is_global_zero:
            put_back(out)
        raise


def _tables_of_streams(config: RunConfig, tables: bytes | None) -> bytes | None:
    if config.training.trainable != "decoder":
        return None
    if tables is None:
        raise ArgumentError(
            'training.trainable: "decoder" needs the tables of the streams that it must decode; '
            "start with aeedge train --train-decoder RUN"
        )
    return tables


def check_continuation(before: RunConfig, now: RunConfig) -> None:
    """Check that a resumed run keeps its model, samples, held-out images and loss.

    Raises:
        ArgumentError: a key that may not change; the message names it.
    """
    old, new = flat(before.to_dict()), flat(now.to_dict())
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key) and key not in MAY_CHANGE:
            raise ArgumentError(
                f"{key}: found {new.get(key)!r}, expected {old.get(key)!r} as in the run that is resumed; "
                "start another with --init-from"
            )


def check_names(config: RunConfig) -> None:
    """Check the names that only training resolves, before any data is read.

    Raises:
        ArgumentError: an unknown optimizer, distortion or corruption.
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
