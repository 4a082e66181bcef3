"""Validates on held-out images, always with the same crops, damage and noise."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aeedge.training.config import TrainingConfig
from aeedge.training.data.batches import VALIDATION_STEP, Batch, StepInfo, validation_batches
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.mixture import ImageSet
from aeedge.training.reporting.metrics import ValidationMetrics
from aeedge.training.reporting.pictures import save_grid

MOST_PICTURED = 12
MOST_PICTURED_LARGE = 4
"""Images in a reconstruction grid, for samples of at most 64x64 pixels and for larger ones."""

SMALL_SAMPLE = 64 * 64
LARGEST_BATCH_SMALL = 250
LARGEST_BATCH = 8
"""Images per validation batch, for samples of at most 64x64 pixels and for larger ones."""


class Validator:
    """Measures a model on held-out images; every process takes its share.

    Args:
        fabric: the launched Fabric.
        images: the held-out images.
        size: rows and columns of a sample.
        training: for memory order and seed.
        corruption: the damage trained against, or None.
    """

    def __init__(
        self,
        fabric: Any,
        images: ImageSet,
        size: tuple[int, int],
        training: TrainingConfig,
        corruption: Corruption | None,
    ) -> None:
        self.fabric, self.images, self.size = fabric, images, size
        self.training, self.corruption = training, corruption

    @torch.no_grad()
    def measure(self, model: Any, module: Any, picture: Path) -> dict[str, float]:
        """Return the objective's parts and the image metrics; draw a reconstruction grid.

        Args:
            model: the weights to measure.
            module: the training module, for its objective.
            picture: path of the grid, written by the first process.
        """
        was_training = model.training
        model.eval()
        metrics = ValidationMetrics(self.fabric.device, self.size)
        drawn = False
        for first, prepared in self._batches():
            batch = prepared.on(self.fabric.device, self.training.channels_last)
            info = StepInfo(VALIDATION_STEP, module.max_steps, self.training.seed, first)
            with self.fabric.autocast():
                parts = module.objective.forward(model, batch, info)  # not what is compiled: it is too short for that
                image = model.decode(model.encode(batch.source))
            metrics.update(parts, image, batch.target)
            if not drawn and self.fabric.is_global_zero:
                save_grid(picture, _rows(batch, image))
                drawn = True
        model.train(was_training)
        return metrics.compute()

    def _batches(self) -> Any:
        places = held_out_places(self.fabric.global_rank, self.fabric.world_size, len(self.images))
        size = LARGEST_BATCH_SMALL if self.size[0] * self.size[1] <= SMALL_SAMPLE else LARGEST_BATCH
        return validation_batches(self.images, self.size, places, size, self.corruption, self.training.seed)


def held_out_places(rank: int, processes: int, count: int) -> list[int]:
    """Return which of `count` images a process measures: none is left with nothing, and all images count alike."""
    if count < processes:
        return list(range(count))
    return list(range(count * rank // processes, count * (rank + 1) // processes))


def _rows(batch: Batch, image: Tensor) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    sources = [batch.target, batch.source, image] if batch.source is not batch.target else [batch.target, image]
    count = MOST_PICTURED if image.shape[2] * image.shape[3] <= SMALL_SAMPLE else MOST_PICTURED_LARGE
    return [value[:count].float().cpu().numpy() for value in sources]
