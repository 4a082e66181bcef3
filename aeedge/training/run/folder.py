"""The run folder: config.json, checkpoints/, metrics.csv, curves.png, reconstructions/, tensorboard/.

A run that trains a decoder alone has the tables of the old streams too, as entropy.npz; one of an own network a copy of
its file, network.py.txt, for people: nothing reads it.
"""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aeedge.configuration import Configuration, parse
from aeedge.models import Autoencoder, OwnNetwork, build_model
from aeedge.training.config import RunConfig
from aeedge.training.run.checkpoint import Counters, load_weights, read_checkpoint, under
from aeedge.training.run.logbook import CURVES, METRICS
from aeedge.training.run.witness import check_witness
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError
from aeedge_runtime.files import TEMPORARY_PREFIX, atomic_write, require_writable

CONFIG = "config.json"
TABLES = "entropy.npz"
CODE = "network.py.txt"
NON_FINITE = "non-finite"
OURS = (CONFIG, TABLES, CODE, "checkpoints", METRICS, CURVES, "reconstructions", "tensorboard", NON_FINITE)
"""What a run writes, and all that `--force` removes."""

SET_ASIDE = ".replaced"
"""Holds a run that is being replaced, complete, until the new one has done a step."""

MOVING = ".moving"
"""Holds its files that were moved so far, on their way there or back; the others are where they were."""

FORGOTTEN = ".forgotten"
"""What is about to be removed."""

LEFT_BEHIND = (
    FORGOTTEN,
    *(f"{folder}{TEMPORARY_PREFIX}*" for folder in ("", "checkpoints/", "reconstructions/", f"{NON_FINITE}/")),
)
"""What a killed process may leave behind: unfinished files, and an earlier run that was about to be removed."""


@dataclass(frozen=True)
class LoadedRun:
    """A trained run.

    Attributes:
        path: the run folder.
        model: the model in evaluation mode, on the CPU in float32; the averaged weights where an average was kept.
        config: the whole config.
        summary: plain values for the manifest: preset, data source, steps, epochs, loss.
        images: identify its images, see `datasets.traits`; empty where an older version wrote it.
    """

    path: Path
    model: Autoencoder
    config: RunConfig
    summary: Mapping[str, Any]
    images: tuple[float, ...]


def load_run(path: Path | str, which: Literal["best", "last"] = "best", network: OwnNetwork | None = None) -> LoadedRun:
    """Load the model of a run folder; the last checkpoint when there is no best one yet.

    Args:
        path: the run folder.
        which: "best" or "last".
        network: the own network of the run, which the run itself never loads.

    Raises:
        ArgumentError: the run is of an own network that is not named or has changed.
        InputError: the folder is no run, or its checkpoint is missing, damaged or of another version.
    """
    path = Path(path)
    config = read_config(path)
    place = checkpoint_path(path, which)
    if not place.exists():
        place = checkpoint_path(path, "last")
    tensors, counters = read_checkpoint(place)
    model = build_model(config.model, network)
    load_weights(model, under(tensors, "ema") or under(tensors, "model"), place)
    if network is not None:
        check_witness(model, under(tensors, "witness"), place)
    return LoadedRun(path, model.eval(), config, _summary(config, counters), counters.images)


def checkpoint_path(run: Path, which: str) -> Path:
    """Return where a run keeps its "best" or "last" checkpoint."""
    return run / "checkpoints" / f"{which}.safetensors"


def read_config(path: Path) -> RunConfig:
    """Return the config of a run folder.

    Raises:
        InputError: there is no run, or its config is damaged or of another version.
    """
    place = path / CONFIG
    try:
        return RunConfig.from_dict(parse(place.read_text()))
    except FileNotFoundError as error:
        raise InputError(f"{path}: contains no {CONFIG}, expected a folder that aeedge train wrote") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{place}: {error}") from error


def write_config(path: Path, config: Configuration) -> None:
    """Write a config as the run's config.json, complete or not at all."""
    atomic_write(path / CONFIG, (json.dumps(config.to_dict(), indent=2) + "\n").encode(), overwrite=True)


def write_tables(path: Path, tables: bytes) -> None:
    """Keep the tables of the streams that the run's decoder is trained for."""
    atomic_write(path / TABLES, tables, overwrite=True)


def write_code(path: Path, code: str) -> None:
    """Keep a copy of an own network's file, for people; its name keeps Python from importing it."""
    atomic_write(path / CODE, code.encode(), overwrite=True)


def read_tables(path: Path) -> bytes | None:
    """Return the tables that `write_tables` kept, or None where the run has none: it trains more than its decoder."""
    place = path / TABLES
    return place.read_bytes() if place.exists() else None


def require_free_folder(path: Path, *, force: bool) -> None:
    """Check that a run can be written to a folder, and change nothing.

    Args:
        path: where; it may exist if it is empty.
        force: an earlier run may be there.

    Raises:
        ArgumentError: something else is there.
        AeedgeError: a run is there already, or the folder may not be written to.
    """
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"{path}: is a file, expected a folder for the run")
    require_writable(path / CONFIG)
    if path.exists() and set(path.iterdir()) - set(_left_behind(path)):
        if not any(_holds_run(place) for place in (path, path / SET_ASIDE, path / MOVING)):
            raise ArgumentError(f"{path}: contains other files, expected a new or empty folder; choose another -o")
        if not force:
            raise AeedgeError(f"{path}: already contains a run; continue it with --resume or replace it with --force")


def set_aside(path: Path) -> None:
    """Make the run folder, and move what an earlier run left there, and nothing else, out of the way.

    A run that was set aside earlier is put back first: its replacement was killed before its first step.
    """
    path.mkdir(parents=True, exist_ok=True)
    sweep(path)
    put_back(path)
    found = [name for name in OURS if (path / name).exists()]
    if not found:
        return
    (path / MOVING).mkdir()
    for name in found:
        (path / name).rename(path / MOVING / name)
    (path / MOVING).rename(path / SET_ASIDE)


def put_back(path: Path) -> None:
    """Undo `set_aside`; of the run that failed only a batch kept for inspection stays.

    Either may be killed at any moment: `SET_ASIDE` holds the whole earlier run, so everything else may go; `MOVING`
    holds a part of it, and the rest is where it was.
    """
    moving, aside = path / MOVING, path / SET_ASIDE
    if aside.exists():
        for name in OURS:
            if name != NON_FINITE or (aside / name).exists():
                _remove(path / name)
        aside.rename(moving)
    if moving.exists():
        for place in moving.iterdir():
            place.rename(path / place.name)
        moving.rmdir()


def recover(path: Path) -> None:
    """Undo a `set_aside` that was killed while it moved files: the folder holds the earlier run only, in two places."""
    if (path / MOVING).exists():
        put_back(path)


def forget_set_aside(path: Path) -> None:
    """Remove what `set_aside` moved."""
    if (path / SET_ASIDE).exists():
        (path / SET_ASIDE).rename(path / FORGOTTEN)
        shutil.rmtree(path / FORGOTTEN, ignore_errors=True)


def sweep(path: Path) -> None:
    """Remove the temporary files that a killed process left in a run folder; no other may be at work there."""
    for place in _left_behind(path):
        _remove(place)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _holds_run(path: Path) -> bool:
    """Return whether the config.json of a folder is a run's, of any version."""
    try:
        values = parse((path / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and {"model", "training", "data"} <= values.keys()


def _left_behind(path: Path) -> list[Path]:
    return [place for pattern in LEFT_BEHIND for place in path.glob(pattern)]


def _summary(config: RunConfig, counters: Counters) -> dict[str, Any]:
    loss = counters.best_loss if counters.step == counters.best_step else counters.loss
    source = config.data.source
    return {
        "preset": config.preset,
        "data": Path(source).name if "/" in source else source,
        "steps": counters.step,
        "epochs": round(counters.epoch, 4),
        "loss": loss if loss is not None and math.isfinite(loss) else None,
        "seed": config.training.seed,
        "corrupt": config.training.corrupt,
        "trainable": config.training.trainable,
    }
