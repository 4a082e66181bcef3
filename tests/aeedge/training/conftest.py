import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aeedge.training.config import RunConfig
from aeedge.training.run import logbook
from aeedge.training.run.folder import checkpoint_path

DENSE: dict[str, Any] = {
    "model": {"family": "dense", "hidden": [16], "latent": 8},
    "data": {"source": "synthetic", "count": 96, "held_out": 0.2},
    "training": {"max_steps": 9, "batch_size": 16, "validate_steps": 3, "optimizer": {"learning_rate": 0.01}},
}
BASES: dict[str, dict[str, Any]] = {
    "dense": DENSE,
    "vae": {
        **DENSE,
        "model": {"family": "vae", "hidden": [16], "latent": 4},
        "training": {**DENSE["training"], "loss": {"kind": "vae", "terms": {"bce": 1.0}, "reduction": "sum"}},
    },
    "conv": {
        "model": {"family": "conv", "width": 16, "latent": 24, "hidden": 8},
        "data": {"source": "synthetic-photos", "count": 4, "held_out": 0.3, "crop": [32, 48], "flip": True},
        "training": {"max_steps": 4, "batch_size": 4, "validate_steps": 2, "loss": {"kind": "rate-distortion"}},
    },
    "hyperprior": {
        "model": {
            "family": "hyperprior",
            "width": 16,
            "latent_channels": 24,
            "hidden": 8,
            "decoder_hidden": 8,
            "groups": [24],
        },
        "data": {"source": "synthetic-photos", "count": 4, "held_out": 0.3, "crop": [64, 64]},
        "training": {"max_steps": 2, "batch_size": 2, "loss": {"kind": "hyperprior"}},
    },
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # tiny networks: more threads only wait for each other
    monkeypatch.setattr(logbook, "save_curves", lambda path, rows: None)  # a second each


@pytest.fixture(scope="session")
def config() -> Callable[..., RunConfig]:
    """Makes the config of a tiny run: a base, other data where `data` says so, other keys of training."""

    def make(base: str = "dense", data: dict[str, Any] | None = None, **training: Any) -> RunConfig:
        values = copy.deepcopy(BASES[base])
        values["data"] = data or values["data"]
        values["training"] |= training
        return RunConfig.from_dict(values)

    return make


@pytest.fixture(scope="session")
def weights() -> Callable[..., dict[str, Any]]:
    """Reads every tensor of a run's last checkpoint."""
    from safetensors.torch import load_file

    def read(run: Path) -> dict[str, Any]:
        return load_file(checkpoint_path(run, "last"))

    return read


class Killed(BaseException):
    """Raised where SIGKILL would strike."""


class KillAt:
    """A reporter that ends the process's work at a step, 0 being before the first, without any cleanup."""

    killed = Killed

    def __init__(self, step: int) -> None:
        self.at = step

    def start(self, *_: object) -> None:
        self.step(0)

    def step(self, step: int, *_: object) -> None:
        if step == self.at:
            raise Killed

    def validated(self, *_: object) -> None:
        pass

    def warn(self, *_: object) -> None:
        pass

    def finish(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def kill_at() -> type[KillAt]:
    return KillAt
