"""The model to export, with the images that calibration and the parity gate need."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder, OwnNetwork
from aeedge_export.checks.anomaly import Images
from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.errors import AeedgeWarning, ArgumentError

PATCHED_IMAGES, CONVOLUTIONAL_IMAGES = 2000, 24
"""Calibration images: each gives one latent position, or hundreds."""

CHECK_IMAGES = 12
"""Held-out images for the gate and the golden vectors of a convolutional model; a patched one needs as many as its
symbols take."""

NORMAL_IMAGES = 100
"""Held-out images of a convolutional model that calibrate anomaly scores: with 99 a rate of 0.01 can be shown. A
hyperprior reconstructs whatever it sees, so its errors say nothing and it gets no threshold."""


ORIGIN = ("source", "sha256", "pixels", "whole")
"""Facts of an own network in the config of its run that its bundle repeats."""


@dataclass(frozen=True)
class Source:
    """A model and its images.

    Attributes:
        model: the autoencoder.
        name: name of the bundle.
        family: "dense", "conv", "vae" or "hyperprior".
        preset: preset that the run started from, or "".
        training: free summary for the manifest, plain values.
        calibration: images to fit tables on, uint8 `[H, W, C]`.
        held_out: images that the gate compares on.
        normal: whole images never trained on that calibrate the threshold of anomaly scores; too few give none.
        tables: tables that the model's streams are coded with already, if its decoder was trained alone; else empty.
        allow_dead: export a model whose latents are always the same.
        lite: the same encoder and prior with a smaller decoder, or None.
    """

    model: Autoencoder
    name: str
    family: str
    preset: str
    training: Mapping[str, Any]
    calibration: Sequence[NDArray[np.uint8]]
    held_out: Sequence[NDArray[np.uint8]]
    normal: Images = ()
    tables: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    allow_dead: bool = False
    lite: Autoencoder | None = None


def _name_of_network(model: Mapping[str, Any]) -> str:
    """Return the name of an own network in its file, "" for others."""
    return str(model.get("source", "")).rpartition(":")[2]


def _origin(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of an own network, for people; nothing for others."""
    return {"network": {name: model[name] for name in ORIGIN if name in model}} if "source" in model else {}


def load_source(
    run: Path | str,
    checkpoint: Literal["best", "last"] = "best",
    data: str | None = None,
    data_dir: str | None = None,
    network: OwnNetwork | None = None,
) -> Source:
    """Load a run with its images; warn if they are not the images it was trained on.

    Args:
        run: folder that `aeedge train` wrote.
        checkpoint: "best" or "last".
        data: current path of the run's images, or the name of their data set; None if they have not moved.
        data_dir: the same for the files of a data set.
        network: the own network of the run; see `load_run`.

    Raises:
        InputError: the run is damaged.
        ArgumentError: its images are gone, or its own network is not named or has changed.
    """
    from aeedge.training.data.datasets import are_same, run_images, sample, sample_images, traits
    from aeedge.training.run.folder import load_run, read_tables

    loaded = load_run(run, checkpoint, network)
    tables, model = read_tables(loaded.path), loaded.model
    trained_on = loaded.config.data
    here = replace(trained_on, source=data or trained_on.source, data_dir=data_dir or trained_on.data_dir)
    config = replace(loaded.config, data=here)
    try:
        trained, held_out = run_images(config, "train"), run_images(config, "held-out")
    except ArgumentError as error:
        raise ArgumentError(f"{error}; if the run's images have moved, name their path with --data") from error
    if not are_same(loaded.images, traits(trained, held_out)):
        text = "these are not all and only the images that the run was trained on; tables and limits come from these"
        warnings.warn(f"{config.data.source}: {text}", AeedgeWarning, stacklevel=2)
    seed = config.training.seed
    checked = sample_images(held_out, seed, PATCHED_IMAGES if model.patched else CHECK_IMAGES)
    family = str(getattr(model.config, "family", ""))
    return Source(
        model=model,
        name=config.preset or _name_of_network(config.model) or family,
        family=family,
        preset=config.preset,
        training={**loaded.summary, **_origin(config.model)},
        calibration=sample_images(trained, seed, PATCHED_IMAGES if model.patched else CONVOLUTIONAL_IMAGES),
        held_out=checked,
        normal=() if model.exact_prior else sample(held_out, seed, PATCHED_IMAGES if model.patched else NORMAL_IMAGES),
        tables=read_arrays(tables) if tables is not None else {},
    )
