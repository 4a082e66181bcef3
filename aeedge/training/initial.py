"""Makes the config and the initial weights of a run from a user's settings."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor

from aeedge.configuration import parse, plain, set_key
from aeedge.models import model_config
from aeedge.training.config import RunConfig
from aeedge.training.run.checkpoint import read_checkpoint, under
from aeedge.training.run.folder import checkpoint_path, read_config
from aeedge_runtime.errors import AeedgeError, ArgumentError


def read_config_file(path: Path) -> dict[str, Any]:
    """Return the plain values of a config file, checked.

    Raises:
        ArgumentError: it is not JSON, has a key twice, or is not a config.
    """
    try:
        values = parse(path.read_bytes())
    except OSError as error:
        raise ArgumentError(f"{path}: {error.strerror}; expected a config as aeedge presets NAME prints it") from error
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ArgumentError(f"{path}: found a {type(values).__name__}, expected an object")
    return RunConfig.from_dict(values).to_dict()


def change(values: Mapping[str, Any], settings: Sequence[str]) -> RunConfig:
    """Return the config of plain values with `KEY=VALUE` settings applied.

    Args:
        values: plain values of a whole config.
        settings: dotted keys and JSON values; a value that is not JSON is text.

    Raises:
        ArgumentError: a setting without "=", an unknown key or a value that does not fit.
    """
    changed: dict[str, Any] = json.loads(json.dumps(dict(values)))
    if changed.get("model"):
        changed["model"] = RunConfig(model=_full_model(changed["model"])).to_dict()["model"]
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ArgumentError(f'--set: found "{setting}", expected KEY=VALUE such as training.batch_size=64')
        set_key(changed, key.strip(), _value(text))
    config = RunConfig.from_dict(changed)
    model_config(config.model)
    return config


def initial_weights(place: Path) -> dict[str, Tensor]:
    """Return the weights of a run folder or of a checkpoint file, averaged ones where there are any.

    Raises:
        InputError: there is no readable checkpoint.
    """
    if place.is_dir():
        read_config(place)
        best = checkpoint_path(place, "best")
        place = best if best.exists() else checkpoint_path(place, "last")
    tensors, _ = read_checkpoint(place)
    return under(tensors, "ema") or under(tensors, "model")


def pretrained_weights(preset: str) -> dict[str, Tensor]:
    """Return the weights that ship with the package for a preset.

    Raises:
        AeedgeError: none ship for it.
    """
    place = resources.files("aeedge") / "pretrained" / f"{preset}.safetensors"
    with resources.as_file(place) as path:
        if not path.exists():
            raise AeedgeError(f'no pretrained weights ship for the preset "{preset}"; train it, or use --init-from RUN')
        return initial_weights(path)


def _full_model(values: Mapping[str, Any]) -> dict[str, Any]:
    full: dict[str, Any] = plain(model_config(values))
    return full


def _value(text: str) -> Any:
    try:
        return parse(text)
    except ArgumentError:
        return text
