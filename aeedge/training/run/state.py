"""The state of a run in memory, and the two checkpoints that keep it: the last one and the best one."""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aeedge.training.ema import Average
from aeedge.training.run.checkpoint import (
    Counters,
    load_optimizer,
    load_weights,
    optimizer_tensors,
    read_checkpoint,
    under,
    write_checkpoint,
)
from aeedge.training.run.folder import checkpoint_path
from aeedge.training.run.witness import check_witness, make_witness

CHECKPOINT_SECONDS = 300.0
"""A checkpoint is also due when the last one is older than this."""


class RunState:
    """Everything that training changes, apart from the counters; only the first process writes.

    Args:
        run: the run folder.
        model: the model that is trained.
        objective: its objective, which may have weights too.
        optimizer: what updates both.
        average: the averaged weights, or None.
        writes: whether this process writes checkpoints.
        witnessed: whether checkpoints hold a witness, because the network is the user's own.
    """

    def __init__(
        self,
        run: Path,
        model: Any,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
        *,
        writes: bool,
        witnessed: bool = False,
    ) -> None:
        self.run, self.model, self.objective, self.optimizer = run, model, objective, optimizer
        self.average, self.writes, self.witnessed = average, writes, witnessed
        self._saved = time.monotonic()

    @property
    def shown(self) -> Any:
        """The model that is validated and kept as the best: the averaged weights if there are any."""
        return self.average.model if self.average else self.model

    def restore(self, path: Path) -> Counters:
        """Load a checkpoint and return its counters.

        Raises:
            InputError: it is missing, damaged, of another version or of another model.
            ArgumentError: an own network has changed since.
        """
        tensors, counters = read_checkpoint(path)
        load_weights(self.model, under(tensors, "model"), path)
        load_weights(self.objective, under(tensors, "objective"), path)
        if self.average:
            load_weights(self.average.model, under(tensors, "ema"), path)
        if self.witnessed:
            check_witness(self.shown, under(tensors, "witness"), path)
        load_optimizer(self.optimizer, under(tensors, "optimizer"))
        return counters

    def is_old(self) -> bool:
        """Return whether the last checkpoint is older than CHECKPOINT_SECONDS."""
        return time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def save(self, counters: Counters) -> None:
        """Write the last checkpoint."""
        self._saved = time.monotonic()
        if not self.writes:
            return
        tensors = _prefixed("model", self.model.state_dict())
        tensors |= _prefixed("objective", self.objective.state_dict())
        tensors |= _prefixed("optimizer", optimizer_tensors(self.optimizer))
        if self.average:
            tensors |= _prefixed("ema", self.average.model.state_dict())
        write_checkpoint(checkpoint_path(self.run, "last"), tensors | self._witness(), counters)

    def save_best(self, counters: Counters) -> None:
        """Write the best checkpoint, without the optimizer."""
        if self.writes:
            tensors = _prefixed("model", self.shown.state_dict())
            tensors |= _prefixed("objective", self.objective.state_dict())
            write_checkpoint(checkpoint_path(self.run, "best"), tensors | self._witness(), counters)

    def _witness(self) -> dict[str, Tensor]:
        return _prefixed("witness", make_witness(self.shown)) if self.witnessed else {}


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}
