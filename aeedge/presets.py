"""The named networks of presets.toml with their training. Reading them needs neither torch nor numpy."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from aeedge.configuration import build, nearest
from aeedge.training.config import DataConfig, RunConfig, TrainingConfig
from aeedge_runtime.errors import ArgumentError


@dataclass(frozen=True)
class Preset:
    """A network, its training and its data, under one name.

    Attributes:
        name: what `aeedge train` takes.
        purpose: what it is for, one line.
        model: plain values of the model config.
        training: the training config.
        data: the data config.
        parameters: trainable parameters; a test counts them.
        macs_per_pixel: multiply-accumulates per pixel of encoder and decoder; a test counts them.
        input_size: what the network sees at once, for people.
        latent_size: values of the latent, for people.
    """

    name: str
    purpose: str
    model: Mapping[str, Any]
    training: TrainingConfig
    data: DataConfig
    parameters: int
    macs_per_pixel: tuple[int, int]
    input_size: str
    latent_size: str

    def config(self) -> RunConfig:
        """Return the full config of a run of this preset."""
        return RunConfig(preset=self.name, model=dict(self.model), training=self.training, data=self.data)


def find_preset(name: str) -> Preset:
    """Return the preset of a name.

    Raises:
        ArgumentError: there is none; the message names the nearest.
    """
    if name not in PRESETS:
        raise ArgumentError(f'there is no preset "{name}"{nearest(name, PRESETS)}')
    return PRESETS[name]


def ships_weights(name: str) -> bool:
    """Return whether trained weights of a preset come with the package."""
    return (files("aeedge") / "pretrained" / f"{name}.safetensors").is_file()


def _read() -> dict[str, Preset]:
    values = tomllib.loads((files("aeedge") / "presets.toml").read_text(encoding="utf-8"))
    return {name: build(Preset, {"name": name, **preset}, f"presets.{name}") for name, preset in values.items()}


PRESETS: dict[str, Preset] = _read()
"""Name -> preset, in the order of presentation."""
