"""Checkpoint files: safetensors that hold the counters too, so that a checkpoint is complete or absent.

Tensors are named `model.*`, `ema.*`, `objective.*`, `optimizer.<parameter>.<state>` and, for an own network,
`witness.*`; the counters are JSON in the file's metadata, with a copy for people in a .json file. Nothing is ever
pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aeedge.configuration import Configuration
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError
from aeedge_runtime.files import atomic_path, atomic_write

CHECKPOINT_SCHEMA = 1
"""Version of the names and counters; a checkpoint of another version is refused."""

METADATA_KEY = "aeedge"


@dataclass(frozen=True)
class Counters(Configuration):
    """The progress of a run; with the weights it is all that a resume needs.

    Attributes:
        schema: version of the checkpoint layout.
        step: optimizer steps done.
        epoch: passes over the training images done, a fraction.
        loss: validation loss at the last validation, or null before the first and where it was not finite.
        best_loss: smallest finite validation loss so far, or null.
        best_step: step of that validation.
        stale: validations since then.
        sums: running sums of the training metrics since the last validation.
        summed: optimizer steps in these sums.
        images: identify the images on resuming, see `datasets.traits`; empty in old checkpoints.
    """

    schema: int = CHECKPOINT_SCHEMA
    step: int = 0
    epoch: float = 0.0
    loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    sums: Mapping[str, float] | None = None
    summed: int = 0
    images: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that nothing was counted below 0.

        Raises:
            ArgumentError: naming the counter.
        """
        for name in ("step", "epoch", "best_step", "stale", "summed"):
            if not getattr(self, name) >= 0:
                raise ArgumentError(f"{name}: found {getattr(self, name)}, expected 0 or more")

    def after_step(self, epoch: float, parts: Mapping[str, float]) -> Self:
        """Return the counters after another step, whose objective had these parts."""
        before = self.sums or {}
        sums = {name: before.get(name, 0.0) + value for name, value in parts.items()}
        return replace(self, step=self.step + 1, epoch=epoch, sums=sums, summed=self.summed + 1)

    def after_validation(self, loss: float) -> Self:
        """Return the counters after a validation at this step."""
        counters = replace(self, loss=loss, sums=None, summed=0)
        if self.best_loss is None or loss < self.best_loss:
            return replace(counters, best_loss=loss, best_step=self.step, stale=0)
        return replace(counters, stale=self.stale + 1)

    def training_means(self) -> dict[str, float]:
        """Return the mean of every part of the objective since the last validation."""
        return {name: value / self.summed for name, value in (self.sums or {}).items()}


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], counters: Counters) -> None:
    """Write a checkpoint under its final name in one move; a failure leaves what was there.

    Raises:
        AeedgeError: the disk is full or not writable.
    """
    text = json.dumps(counters.to_dict())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            save_file(_apart(tensors), temporary, metadata={METADATA_KEY: text})
    except (OSError, SafetensorError) as error:
        raise AeedgeError(f"{path}: the checkpoint could not be written ({error}); the previous one is kept") from error
    try:
        atomic_write(path.with_suffix(".json"), f"{text}\n".encode(), overwrite=True)
    except OSError as error:
        raise AeedgeError(
            f"{path}: the JSON copy of its counters could not be written ({error}); the checkpoint itself is complete"
        ) from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU that share no memory, as safetensors wants them; networks may use a weight twice."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        apart[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return apart


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Counters]:
    """Read a checkpoint, also while a run replaces it.

    Raises:
        InputError: the file is missing, damaged or of another version.
    """
    while True:
        before = _identity(path)
        try:
            found = _read(path)
        except InputError:
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:  # else header and tensors may be of two files: safetensors opens it twice
                return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file of a name from the next, or None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _read(path: Path) -> tuple[dict[str, Tensor], Counters]:
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError as error:
        raise InputError(f"{path}: no checkpoint there; the run has not reached its first one yet") from error
    except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: torch could not map all of it
        raise InputError(f"{path}: not a readable checkpoint ({error}); it is damaged") from error
    if text is None:
        raise InputError(f"{path}: contains no aeedge counters, expected a checkpoint that aeedge train wrote")
    return tensors, _counters(text, path)


def _counters(text: str, path: Path) -> Counters:
    """Read the counters; a loss that is not finite, as old checkpoints may hold one, counts as none."""
    try:
        values = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: found counters that are not JSON ({error}); the checkpoint is damaged") from error
    found = values.get("schema") if isinstance(values, dict) else CHECKPOINT_SCHEMA
    if found != CHECKPOINT_SCHEMA:
        raise InputError(f"{path}: found checkpoint version {found}, expected {CHECKPOINT_SCHEMA}; use that version")
    try:
        return Counters.from_dict(values)
    except ArgumentError as error:
        raise InputError(f"{path}: {error}; the checkpoint is damaged") from error


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name starts with `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load weights into a module; every name and shape must fit.

    Raises:
        InputError: they do not.
    """
    needed = module.state_dict()
    for name in sorted(needed.keys() | tensors.keys()):
        found, expected = (_shape(weights.get(name)) for weights in (tensors, needed))
        if found != expected:
            raise InputError(
                f"{path}: its weights do not fit the model of the config: found {name} {found}, expected {expected}"
            )
    module.load_state_dict(dict(tensors))


def _shape(weight: Tensor | None) -> str:
    return "missing" if weight is None else f"of {list(weight.shape)}"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state as `<parameter>.<state>` -> tensor; numbers become float64 scalars."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `optimizer_tensors` back; hyperparameters come from the config, not from the checkpoint.

    Raises:
        InputError: they are of another optimizer.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise InputError(f"checkpoint: found optimizer.{key}, expected states of {len(parameters)} parameters")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:  # the same memory order as the parameter's
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
