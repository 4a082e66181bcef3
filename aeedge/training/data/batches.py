"""The batch of a step, as a pure function of (seed, step): which images, which crops, which flips, which damage.

The samples of a run are one endless stream, the epochs' permutations one after the other; step s takes samples
s * B .. s * B + B - 1 of it. Nothing is left over at the end of an epoch, and nothing has to be remembered to resume.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aeedge.training import randomness
from aeedge.training.data.augmentation import DRAWS, Augmentation
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.coverage import SamplePlace
from aeedge.training.data.mixture import ImageSet
from aeedge_runtime.errors import ArgumentError

VALIDATION_STEP = -1
"""Stands for the step wherever validation needs randomness, so that it is the same every time."""


Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """Exclude a function of the step number from torch.compile, which would compile it again for every step."""
    disable: Any = torch.compiler.disable  # without types
    return cast(Function, disable(function))


@dataclass(frozen=True)
class StepInfo:
    """The step, for an objective: its only source of randomness.

    Attributes:
        step: optimizer step from 0, or -1 in validation.
        max_steps: optimizer steps of the whole run.
        seed: of the run.
        first: index in the whole batch of the first sample of this part.
    """

    step: int
    max_steps: int
    seed: int
    first: int

    @uncompiled
    def uniform(self, purpose: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Return float32 numbers in [0, 1) of a shape [N, ...]; see `aeedge.training.randomness`.

        CUDA draws them where they are needed, others than the CPU would: a step's noise takes the CPU longer to draw
        and to hand over than a GPU takes for the whole step.
        """
        if device.type == "cuda":
            return self.drawn_there(purpose, torch.empty(shape, device=device), torch.Tensor.uniform_)
        return torch.from_numpy(randomness.uniform(self.seed, self.step, purpose, self.first, shape)).to(device)

    def drawn_there(self, purpose: str, numbers: Tensor, draw: Callable[..., Tensor]) -> Tensor:
        """Fill `numbers` [N, ...] on their device, each sample keyed by its place in the whole batch."""
        source = torch.Generator(numbers.device)
        for place, sample in enumerate(numbers, self.first):
            source.manual_seed(randomness.derived_seed(self.seed, self.step, purpose, place))
            draw(sample, generator=source)
        return numbers

    def shared(self, purpose: str) -> float:
        """Return a number in [0, 1) that all samples of the step have in common."""
        return float(randomness.uniform(self.seed, self.step, purpose, 0, (1, 1))[0, 0])

    @uncompiled
    def normal(self, purpose: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Return standard normal float32 numbers of a shape [N, ...]; from CUDA as `uniform`."""
        if device.type == "cuda":
            return self.drawn_there(purpose, torch.empty(shape, device=device), torch.Tensor.normal_)
        return torch.from_numpy(randomness.normal(self.seed, self.step, purpose, self.first, shape)).to(device)


class Batch:
    """Some samples.

    Not a dataclass: Lightning Fabric would convert the tensors of one to the precision of the network, and a target in
    bfloat16 is off by up to half of an 8-bit level.

    Attributes:
        target: what the model should give, float32 [N, C, H, W] in 0..1.
        source: what it is given: the target itself, or a damaged copy.
    """

    def __init__(self, target: Tensor, source: Tensor) -> None:
        self.target, self.source = target, source


@dataclass(frozen=True)
class Prepared:
    """A batch in main memory, a byte a value.

    Attributes:
        target: uint8 [N, H, W, C].
        source: float32 [N, H, W, C] in 0..1 where the input is damaged, else None.
    """

    target: Tensor
    source: Tensor | None = None

    def pin_memory(self) -> "Prepared":
        """Return a copy in pinned memory; a `DataLoader` calls this."""
        return Prepared(self.target.pin_memory(), None if self.source is None else self.source.pin_memory())

    def on(self, device: torch.device, channels_last: bool) -> Batch:
        """Return the batch on a device and in the wanted memory order."""
        order = torch.channels_last if channels_last else torch.contiguous_format

        def moved(values: Tensor) -> Tensor:
            return values.to(device, non_blocking=True).permute(0, 3, 1, 2)

        target = moved(self.target).to(torch.float32, memory_format=order) / 255
        return Batch(target, target if self.source is None else moved(self.source).contiguous(memory_format=order))


class BatchSource:
    """Makes the batches of a run.

    Args:
        images: the training images.
        augmentation: how a sample is made of an image.
        batch_size: samples per step.
        seed: of the run.
        corruption: damage to the network's input, or None.
        per_image: samples of an image in an epoch: 1, or for patches as many as cover it.
    """

    def __init__(
        self,
        images: ImageSet,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        *,
        corruption: Corruption | None = None,
        per_image: float = 1.0,
    ) -> None:
        self.epoch_samples = round(per_image * len(images))
        self.images, self.augmentation, self.batch_size, self.seed = images, augmentation, batch_size, seed
        self.corruption = corruption

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch; rarely a whole number."""
        return self.epoch_samples / self.batch_size

    def completes_epoch(self, step: int) -> bool:
        """Return whether the last of `step` steps, from the start of the run, completes an epoch."""
        return step * self.batch_size // self.epoch_samples > (step - 1) * self.batch_size // self.epoch_samples

    def indices(self, step: int, first: int, count: int) -> NDArray[np.int64]:
        """Return the image numbers of samples `first` .. `first + count - 1` of the batch of a step."""
        places = np.arange(count, dtype=np.int64) + step * self.batch_size + first
        epochs, within = np.divmod(places, len(self.images))
        found = [_order(self.seed, int(e), len(self.images))[w] for e, w in zip(epochs, within, strict=True)]
        return np.array(found, dtype=np.int64)

    def part(self, step: int, first: int, count: int) -> Prepared:
        """Return samples `first` .. `first + count - 1` of the batch of a step."""
        draws = randomness.uniform(self.seed, step, "crop", first, (count, DRAWS))
        pixels = np.stack(
            [
                self.augmentation.sample(self.images.image(int(index)), draw)
                for index, draw in zip(self.indices(step, first, count), draws, strict=True)
            ]
        )
        return prepare(pixels, self.corruption, self.seed, step, first)

    def parts(
        self, start: int, stop: int, places: list[tuple[int, int]], *, workers: int = 0, pinned: bool = False
    ) -> Iterator[list[Prepared]]:
        """Return, for each step from `start` to below `stop`, its parts (first, count), prepared ahead.

        Args:
            start: first step.
            stop: step after the last.
            places: of this process.
            workers: processes that prepare; with 0 a thread does, one step ahead.
            pinned: whether processes hand over in memory that a GPU copies from directly.
        """
        steps = Steps(self, places)
        if not workers:
            return _one_ahead(steps, range(start, stop))
        loader: Iterable[list[Prepared]] = DataLoader(
            steps,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            collate_fn=_unchanged,
            worker_init_fn=_leave_interrupts,
            pin_memory=pinned,
        )
        return iter(loader)


@dataclass(frozen=True)
class Steps(Dataset[list[Prepared]]):
    """The parts of each step that one process trains on."""

    source: BatchSource
    places: list[tuple[int, int]]

    def __getitem__(self, step: int) -> list[Prepared]:
        """Return the parts of a step."""
        return [self.source.part(step, first, count) for first, count in self.places]


def _one_ahead(steps: Steps, numbers: Iterable[int]) -> Iterator[list[Prepared]]:
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for number in numbers:
            ready, coming = coming, pool.submit(steps.__getitem__, number)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _unchanged(parts: list[Prepared]) -> list[Prepared]:
    return parts


def _leave_interrupts(_worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which may reach every process: the training process ends after its step."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return randomness.permutation(seed, epoch, count)


def prepare(pixels: NDArray[np.uint8], corruption: Corruption | None, seed: int, step: int, first: int) -> Prepared:
    """Turn samples uint8 [N, H, W, C] into a batch."""
    target = torch.from_numpy(pixels)
    if corruption is None:
        return Prepared(target)
    values = pixels.astype(np.float32) / np.float32(255)
    return Prepared(target, torch.from_numpy(corruption.apply(values, seed, step, first)))


def validation_batches(
    images: ImageSet,
    size: tuple[int, int],
    samples: Sequence[SamplePlace],
    numbers: range,
    batch_size: int,
    corruption: Corruption | None,
    seed: int,
) -> Iterator[tuple[int, Prepared]]:
    """Yield (first number, batch) of the samples at `numbers`, always the same."""
    for start, stop in pairwise([*numbers[::batch_size], numbers.stop]):
        pixels = np.stack([sample.cut(images, size) for sample in samples[start:stop]])
        yield start, prepare(pixels, corruption, seed, VALIDATION_STEP, start)


def sample_size(
    splits: Sequence[ImageSet], crop: tuple[int, int] | None, stride: tuple[int, int], patched: bool
) -> tuple[int, int]:
    """Return rows and columns of a training sample: the crop, a patch, or whole images of one size.

    Raises:
        ArgumentError: images differ in size and there is no crop, or a size is too small or no multiple of the stride.
    """
    sizes = {
        images.image(index).shape[:2]
        for images in splits
        for index in (range(len(images)) if crop is None else range(1))  # with a crop a folder leaves out smaller ones
    }
    if crop is None and patched:
        crop = stride
    if crop is None:
        if len(sizes) > 1:
            raise ArgumentError("the images differ in size; set data.crop, for example to [256, 256]")
        crop = sizes.pop()
    if crop[0] % stride[0] or crop[1] % stride[1]:
        raise ArgumentError(
            f"found samples of {crop[0]}x{crop[1]}, expected multiples of the model's stride, "
            f"{stride[0]}x{stride[1]}; set data.crop"
        )
    if any(rows < crop[0] or columns < crop[1] for rows, columns in sizes):
        raise ArgumentError(
            f"found images smaller than the training sample of {crop[0]}x{crop[1]}; "
            "use larger images or a smaller data.crop"
        )
    return crop
