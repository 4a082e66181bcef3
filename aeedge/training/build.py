"""Builds what a config names: model, objective and data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aeedge.models import Autoencoder, HyperpriorAutoencoder, OwnNetwork, build_model
from aeedge.models.exact_prior import HYPER_STRIDE
from aeedge.training import randomness
from aeedge.training.config import RunConfig
from aeedge.training.data.augmentation import Augmentation
from aeedge.training.data.batches import Batch, BatchSource, StepInfo, sample_size
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.coverage import patches_per_image
from aeedge.training.data.datasets import run_images
from aeedge.training.objectives.base import build_objective
from aeedge.training.run.checkpoint import load_weights
from aeedge.training.validation import Validator
from aeedge_runtime.errors import ArgumentError

DECODER = "decoder."
"""Prefix of the weights of a decoder."""


class TrainingModule(nn.Module):
    """Model and objective as one module, so that Fabric sees every weight and every forward pass."""

    def __init__(self, model: Any, objective: nn.Module, seed: int, max_steps: int) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.seed, self.max_steps = seed, max_steps

    def forward(self, batch: Batch, step: int, first: int) -> dict[str, Tensor]:
        """Return the objective's parts for samples `first` ... of the batch of a step."""
        info = StepInfo(step, self.max_steps, self.seed, first)
        parts: dict[str, Tensor] = self.objective(self.model, batch, info)
        return parts


def build_module(config: RunConfig, model: Any, max_steps: int, tables: bytes | None = None) -> TrainingModule:
    """Return model and objective, in the memory order and with the frozen parts that the config asks for.

    Raises:
        ArgumentError: objective or tables do not fit the model.
    """
    training = config.training
    with _seeded(training.seed, "objective"):
        objective = build_objective(training.loss, model, tables)
    module = TrainingModule(model, objective, training.seed, max_steps)
    if training.channels_last:
        module.to(memory_format=torch.channels_last)
    if training.trainable == "decoder":
        trained = {id(parameter) for parameter in model.decoder_parameters()}
        for parameter in module.parameters():
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in trained)
    return module


def initial_model(
    config: RunConfig, weights: Mapping[str, Tensor] | None, network: OwnNetwork | None = None
) -> Autoencoder:
    """Return the model of a config with the given weights, or with weights drawn from the seed.

    A decoder that is trained alone keeps its drawn weights if it is built differently from the one in `weights`.

    Raises:
        ArgumentError: see `build_model`.
        InputError: the weights do not fit.
    """
    with _seeded(config.training.seed, "weights"):
        model = build_model(config.model, network)
    if weights is not None:
        if config.training.trainable == "decoder":
            weights = _with_own_decoder(weights, model)
        load_weights(model, weights, Path("initial weights"))
    return model


def _with_own_decoder(weights: Mapping[str, Tensor], model: Autoencoder) -> Mapping[str, Tensor]:
    """Return weights with the decoder of the model in place of one that is built differently."""
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(DECODER)}
    given = {name: tensor for name, tensor in weights.items() if name.startswith(DECODER)}
    if {name: tensor.shape for name, tensor in own.items()} == {name: tensor.shape for name, tensor in given.items()}:
        return weights
    return {name: tensor for name, tensor in weights.items() if name not in given} | own


@contextmanager
def _seeded(seed: int, purpose: str) -> Iterator[None]:
    """Seed torch's global generator inside the block, and restore it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.derived_seed(seed, purpose))
        yield


def open_data(config: RunConfig, model: Any, fabric: Any) -> tuple[BatchSource, Validator]:
    """Return the source of batches and the validator of a run.

    Raises:
        ArgumentError: the data is not there, or does not fit the model.
    """
    training, data = config.training, config.data
    corruption = Corruption.parse(training.corrupt) if training.corrupt else None
    images, held_out = run_images(config, "train"), run_images(config, "held-out")
    coarsest = HYPER_STRIDE if isinstance(model, HyperpriorAutoencoder) else 1
    stride = model.stride[0] * coarsest, model.stride[1] * coarsest
    size = sample_size((images, held_out), data.crop, stride, model.patched)
    augmentation = Augmentation(size, data.flip, data.turn, data.shrink, data.recolored)
    per_image = patches_per_image(images, size) if model.patched else 1.0
    source = BatchSource(
        images, augmentation, training.batch_size, training.seed, corruption=corruption, per_image=per_image
    )
    validator = Validator(fabric, held_out, size, training, corruption)
    return source, validator


def batch_places(batch_size: int, accumulate: int, fabric: Any) -> list[tuple[int, int]]:
    """Return (first, count) of this process's parts of a batch.

    Raises:
        ArgumentError: the batch cannot be divided evenly.
    """
    shares = fabric.world_size * accumulate
    if batch_size % shares:
        raise ArgumentError(
            f"training.batch_size: found {batch_size}, expected a multiple of {shares} "
            f"({fabric.world_size} processes x {accumulate} accumulated parts)"
        )
    count = batch_size // shares
    return [((fabric.global_rank * accumulate + part) * count, count) for part in range(accumulate)]
