"""Validates on held-out images, always with the same crops, damage and noise."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aeedge.training.config import TrainingConfig
from aeedge.training.data.batches import VALIDATION_STEP, Batch, StepInfo, validation_batches
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.coverage import spread_samples
from aeedge.training.data.mixture import ImageSet
from aeedge.training.reporting.metrics import ValidationMetrics
from aeedge.training.reporting.pictures import save_grid
from aeedge_runtime.errors import AeedgeError

MOST_PICTURED = 12
MOST_PICTURED_LARGE = 4
"""Images in a reconstruction grid, for samples of at most 64x64 pixels and for larger ones."""

ERROR_GAIN = 4
"""Brightness of the error map that is drawn below each reconstruction."""

DEAD = (
    "every latent channel is constant on the held-out images: the network codes nothing; start again with a lower "
    "--learning-rate, another --seed or a larger latent"
)

SMALL_SAMPLE = 64 * 64
LARGEST_BATCH_SMALL = 250
LARGEST_BATCH = 8
"""Samples per validation batch, for samples of at most 64x64 pixels and for larger ones."""

MOST_SAMPLES_SMALL = 4096
MOST_SAMPLES = 128
"""Samples of all held-out images together, likewise; every image has at least one."""

CONSTANT = 1e-6
"""Range of a latent channel over all samples up to which it carries nothing."""

FIRST_JUDGED = 100
"""Steps from which a network with a constant latent is given up: a few steps on noise do not tell."""

FEWEST_POSITIONS = 8
"""Latent positions that have to agree before a channel is called constant."""


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
        self._is_small = size[0] * size[1] <= SMALL_SAMPLE
        self._samples = spread_samples(images, size, MOST_SAMPLES_SMALL if self._is_small else MOST_SAMPLES)

    @torch.no_grad()
    def measure(self, model: Any, module: Any, picture: Path, step: int) -> dict[str, float]:
        """Return the objective's parts and the image metrics; draw a reconstruction grid.

        Args:
            model: the weights to measure.
            module: the training module, for its objective.
            picture: path of the grid, written by the first process.
            step: steps done so far.

        Raises:
            AeedgeError: every latent channel is constant, which training does not mend.
        """
        was_training = model.training
        model.eval()
        metrics = ValidationMetrics(self.fabric.device, self.size)
        spread = _Spread()
        drawn = False
        for first, prepared in self._batches():
            batch = prepared.on(self.fabric.device, self.training.channels_last)
            info = StepInfo(VALIDATION_STEP, module.max_steps, self.training.seed, first)
            with self.fabric.autocast():
                parts = module.objective.forward(model, batch, info)  # not what is compiled: it is too short for that
                latent = model.encode(batch.source)
                image = model.decode(latent)
            spread.update(latent)
            metrics.update(parts, image, batch.target)
            if not drawn and self.fabric.is_global_zero:
                save_grid(picture, _rows(batch, image))
                drawn = True
        model.train(was_training)
        dead = step >= FIRST_JUDGED and spread.is_constant()
        if bool(self.fabric.all_gather(torch.tensor(dead)).all()):
            raise AeedgeError(DEAD)
        return metrics.compute()

    def _batches(self) -> Any:
        numbers = held_out_numbers(self.fabric.global_rank, self.fabric.world_size, len(self._samples))
        most = LARGEST_BATCH_SMALL if self._is_small else LARGEST_BATCH
        seed = self.training.seed
        return validation_batches(self.images, self.size, self._samples, numbers, most, self.corruption, seed)


class _Spread:
    """Range of each latent channel over all samples."""

    def __init__(self) -> None:
        self._low: Tensor | None = None
        self._high: Tensor | None = None
        self._positions = 0

    def update(self, latent: Tensor) -> None:
        """Take latents [N, c, h, w]."""
        low, high = latent.amin((0, 2, 3)).float(), latent.amax((0, 2, 3)).float()
        self._low = low if self._low is None else torch.minimum(self._low, low)
        self._high = high if self._high is None else torch.maximum(self._high, high)
        self._positions += latent.shape[0] * latent.shape[2] * latent.shape[3]

    def is_constant(self) -> bool:
        """Return whether every channel is."""
        if self._low is None or self._high is None or self._positions < FEWEST_POSITIONS:
            return False
        return bool((self._high - self._low <= CONSTANT).all())


def held_out_numbers(rank: int, processes: int, count: int) -> range:
    """Return which of `count` samples a process measures: none is left with nothing, and all samples count alike."""
    if count < processes:
        return range(count)
    return range(count * rank // processes, count * (rank + 1) // processes)


def _rows(batch: Batch, image: Tensor) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    sources = [batch.target, batch.source, image] if batch.source is not batch.target else [batch.target, image]
    sources.append(ERROR_GAIN * (batch.target - image).abs())
    count = MOST_PICTURED if image.shape[2] * image.shape[3] <= SMALL_SAMPLE else MOST_PICTURED_LARGE
    return [value[:count].float().cpu().numpy() for value in sources]
