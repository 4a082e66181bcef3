"""Runs, bundles and images of the MNIST benchmarks: what is not there is trained or exported first."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from aeedge.machine import environment
from aeedge.models import model_config
from aeedge.presets import find_preset
from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data.datasets import Split, open_dataset
from aeedge.training.loop import train
from aeedge.training.reporting.display import Display
from aeedge.training.run.folder import load_run
from aeedge_export import export_run
from aeedge_runtime import Codec

Pixels = NDArray[np.uint8]


def preset_config(name: str, data_dir: str, **changes: Any) -> RunConfig:
    """Return a preset's config on MNIST in `data_dir`, with changes of its training config."""
    config = find_preset(name).config()
    data = replace(config.data, data_dir=data_dir)
    return replace(config, data=data, training=replace(config.training, **changes))


def require_run(
    path: Path, config: RunConfig, weights: Mapping[str, Any] | None = None, tables: bytes | None = None
) -> Path:
    """Return a run, trained now if it is not there."""
    if not (path / "config.json").exists():
        train(config, path, weights=weights, tables=tables, reporter=Display())
    found = load_run(path).config
    if model_config(found.model) != model_config(config.model) or found.training.corrupt != config.training.corrupt:
        raise RuntimeError(f"{path}: found another config than this benchmark's; remove the run")
    return path


def require_bundle(run: Path) -> Codec:
    """Return the codec of a run's bundle, which lies in the run folder and is exported now if it is not there."""
    place = run / "bundle.aeb"
    if not place.exists():
        export_run(run, place)
    return Codec.load(place, threads=1)


def mnist(data_dir: str, split: Split, count: int | None = None) -> tuple[Pixels, NDArray[np.int64]]:
    """Return images uint8 [N, 28, 28, 1] and digits [N]."""
    images = open_dataset(DataConfig(source="mnist", data_dir=data_dir), 1, split)
    chosen = range(min(count or len(images), len(images)))
    labels = [images.label(index) or 0 for index in chosen]
    return np.stack([images.image(index) for index in chosen]), np.array(labels)


def save_picture(path: Path, pixels: Pixels, zoom: int = 2) -> None:
    """Write pixels [H, W, C] enlarged as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST).save(path, optimize=True)


def save_results(path: Path, command: list[str], results: Mapping[str, Any]) -> None:
    """Write results with machine and date; sections that are there already and were not measured now are kept."""
    kept = json.loads(path.read_text())["results"] if path.exists() else {}
    script = f"benchmarks/{Path(command[0]).name}"
    facts = {
        **environment([script, *("PATH" if "/" in word else word for word in command[1:])]),
        "torch": torch.__version__,
    }
    entries = {name: {"environment": facts, **values} for name, values in results.items()}
    path.write_text(json.dumps({"schema": 1, "results": {**kept, **entries}}, indent=1) + "\n")
