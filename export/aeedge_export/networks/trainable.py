"""An own network as a run trains it: built from its file in every process, with a config that suits it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aeedge.models import CustomConfig
from aeedge.training.config import DataConfig, LossConfig, OptimizerConfig, RunConfig, TrainingConfig
from aeedge.training.data.datasets import open_dataset
from aeedge.training.data.synthetic import photo
from aeedge_export.latents import to_float
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.torch_pair import adapt
from aeedge_export.networks.user_code import NetworkFile, load_weights
from aeedge_runtime.images.picture import to_gray

ADAPTATION = ("pixels", "encode", "decode", "latent", "output", "size", "tile", "whole")
"""Options of `adapt` that a run keeps."""

CHOICES = ("latent", "output")
"""Options that are a name or a position; a run keeps them as text."""

CROP, LOOKED_AT = 128, 16
"""Side of a training sample of a convolutional network, at most, and images whose size is looked at."""

BOUNDED, CONTRAST = 3.0, 30.0
"""A latent that grows by no more than this factor from images of CONTRAST to images of CONTRAST cubed is bounded: it
ends in a tanh, a sigmoid or a normalization, and training cannot make its numbers much larger."""

LARGEST_STEPS, SPREAD_STEPS = 16, 4
"""Largest latent of a bounded encoder, and spread of a trained one, in units of the middle quantizer steps."""


@dataclass(frozen=True)
class TrainableNetwork:
    """A network by its file, its options and its initial weights; an `aeedge.models.OwnNetwork`.

    Attributes:
        file: Python file and name.
        options: keyword arguments of `adapt`.
        weights: weights to start from, or None.
    """

    file: NetworkFile
    options: Mapping[str, Any]
    weights: Path | None = None

    @classmethod
    def of_run(cls, file: NetworkFile, model: Mapping[str, Any]) -> "TrainableNetwork":
        """Return the network of a run with the options in the run's config; weights come from the run."""
        options = {name: model.get(name) for name in ADAPTATION}
        options |= {name: tuple(options[name] or ()) for name in ("size", "tile") if options[name]}
        for name in CHOICES:
            choice = options[name]
            options[name] = int(choice) if isinstance(choice, str) and choice.isdecimal() else choice
        return cls(file, {**options, "pixels": options["pixels"] or "unit"})

    def __call__(self) -> AdaptedAutoencoder:
        """Build and adapt the network; weights that neither half uses are left out of training.

        Raises:
            AeedgeError: see `NetworkFile.load`, `load_weights` and `adapt`.
        """
        network = self.file.load()
        if self.weights is not None:
            load_weights(network, self.weights)
        model = adapt(network, **self.options)
        _freeze_unused(model)
        return model

    def code(self) -> str:
        """Return the text of the file."""
        return self.file.path.read_text(encoding="utf-8", errors="replace")

    def config(self, data: DataConfig) -> RunConfig:
        """Return a config that suits the network and the images: rate-distortion if it is convolutional.

        Args:
            data: where the images come from.
        """
        model = self()
        kept = {name: value for name, value in self.options.items() if value is not None}
        kept |= {name: str(kept[name]) for name in CHOICES if name in kept}
        facts = CustomConfig(
            source=f"{self.file.path.name}:{self.file.name}",
            sha256=self.file.sha256(),
            channels=model.channels,
            stride=model.stride,
            latent_channels=model.latent_channels,
            patch=model.stride if model.patched else None,
            **kept,
        )
        if model.patched:
            return RunConfig(model=facts.to_dict(), data=data, training=TrainingConfig())
        training = TrainingConfig(
            max_steps=10_000,
            batch_size=16,
            clip_norm=1.0,
            ema_decay=0.998,
            validate_steps=500,
            loss=_loss(_latent_unit(model, trained=self.weights is not None)),
            optimizer=OptimizerConfig(schedule="cosine", warmup_steps=100, final_share=0.02),
        )
        data = replace(data, crop=_crop(model, data), held_out_most=32, flip=True)
        return RunConfig(model=facts.to_dict(), data=data, training=training)


def _loss(unit: float) -> LossConfig:
    """Return the rate-distortion loss for a latent whose middle quantizer steps are about `unit`."""
    default = LossConfig(kind="rate-distortion")
    low, high = default.step_range
    return replace(default, step_range=(low * unit, high * unit), rate_lambda=default.rate_lambda * unit**2)


@torch.no_grad()
def _latent_unit(model: AdaptedAutoencoder, *, trained: bool) -> float:
    """Return the scale of the latent in which the default steps are right; an open, untrained encoder adapts to 1."""
    side = [size * max(1, 128 // size) for size in model.stride]
    images = np.stack([photo(0, number, max(side))[: side[0], : side[1]] for number in range(2)])
    image = to_float(to_gray(images) if model.channels == 1 else images)
    loud, louder = (model.encode((image - 0.5) * CONTRAST**power + 0.5) for power in (1, 3))
    largest = float(louder.abs().max())
    if 0 < largest <= BOUNDED * float(loud.abs().max()):
        return _rounded(largest / LARGEST_STEPS)
    return _rounded(float(model.encode(image).std(dim=(0, 2, 3)).max()) / SPREAD_STEPS) if trained else 1.0


def _rounded(unit: float) -> float:
    return float(f"{unit:.2g}") or 1.0


def _crop(model: AdaptedAutoencoder, data: DataConfig) -> tuple[int, int] | None:
    """Return the training sample: as much of the smaller images as CROP allows, in whole latent positions."""
    images = open_dataset(data, model.channels, "train")
    sizes = [images.image(index * len(images) // LOOKED_AT).shape[:2] for index in range(min(LOOKED_AT, len(images)))]
    rows, columns = (sorted(size[axis] for size in sizes)[len(sizes) // 4] for axis in (0, 1))
    found = [max(1, min(CROP, have) // step) * step for have, step in zip((rows, columns), model.stride, strict=True)]
    return found[0], found[1]


def _freeze_unused(model: AdaptedAutoencoder) -> None:
    """Exclude weights that change neither latent nor image, such as a variance's: processes would wait for them."""
    rows, columns = (size * (1 if model.patched else 2) for size in model.stride)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        image = torch.rand(1, model.channels, rows, columns, generator=torch.Generator().manual_seed(0))
        total = model.decode(model.encode(image)).sum()
        gradients = torch.autograd.grad(total, parameters, allow_unused=True) if total.requires_grad else ()
    for parameter, gradient in zip(parameters, gradients, strict=False):
        parameter.requires_grad_(gradient is not None)
    with torch.no_grad():
        model.decode(model.encode(image))  # what modules keep of a call has no gradients again, so they can be copied
