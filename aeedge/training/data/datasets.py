"""Data sets by name or folder, split by the seed into training and held-out images."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aeedge.training import randomness
from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data import synthetic
from aeedge.training.data.folder import FolderImages, class_names, held_out_paths, image_paths, is_usable
from aeedge.training.data.graphics import Graphics
from aeedge.training.data.mixture import ImageSet, Mixture
from aeedge_runtime.errors import AeedgeWarning, ArgumentError
from aeedge_runtime.images.picture import to_gray

Split = Literal["train", "held-out", "test"]

TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "stl10": "STL10"}
"""Our name -> torchvision's class."""

SYNTHETIC_DIGITS = 12000
SYNTHETIC_PHOTOS = 400
SYNTHETIC_GRAPHICS = 10000
"""Images of the synthetic sources when the config asks for no number."""

LOOKED_AT = 8
"""Images of a set that distinguish it from others."""

SAME_LEVEL = 0.5
"""Largest difference between the means of the same image, 0..255: JPEG decoders differ by less."""

LARGEST_SAMPLE_SIDE = 768
"""Most rows and columns of an image for an export; larger ones are cropped, which bounds its memory."""


@dataclass(frozen=True)
class ArrayImages:
    """Images of one size in memory: uint8 [N, H, W, C] and their classes [N], or None."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` as uint8 [H, W, C]."""
        image: NDArray[np.uint8] = self.images[index]
        return image

    def label(self, index: int) -> int | None:
        """Return its class, or None."""
        return None if self.labels is None else int(self.labels[index])


@dataclass(frozen=True)
class Subset:
    """Some images of another set, in the given order."""

    whole: ImageSet
    indices: Sequence[int] | NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Open the images one by one, uint8 [H, W, C]."""
        return (self.image(index) for index in range(len(self)))

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` as uint8 [H, W, C]."""
        return self.whole.image(int(self.indices[index]))

    def label(self, index: int) -> int | None:
        """Return its class, or None."""
        return self.whole.label(int(self.indices[index]))


def open_dataset(
    data: DataConfig, channels: int, split: Split = "train", *, seed: int = 0, smallest: tuple[int, int] | None = None
) -> ImageSet:
    """Open one split of a data source; the same arguments give the same images in the same order.

    A folder with the folders `train` and `test` in it is split by them; in any other the test images are the held-out
    ones. Each of several sources is split by itself; training images are mixed in their shares, held-out and test
    images come once each.

    Args:
        data: the source and how much of it to hold out.
        channels: 1 or 3; images are converted, with a warning where color is lost.
        split: "train", "held-out" (validation, never trained on) or "test".
        seed: of the run; decides what is held out.
        smallest: rows and columns that an image of a folder must have; None for those of `data.crop`, if any.

    Raises:
        ArgumentError: there is no such source, or no usable image in it.
    """
    if data.others:
        return _mixture(data, channels, split, seed, smallest)
    if data.source in ("synthetic", "synthetic-photos"):
        images = _synthetic(data, channels, split, seed)
    elif data.source == "synthetic-graphics":
        images = _graphics(data, channels, split, seed)
    elif data.source in TORCHVISION:
        images = _torchvision(data, channels, split, seed)
    else:
        images = _folder(data, channels, split, seed, smallest or data.crop or (1, 1))
    if data.only_label is not None and split != "test":
        indices = [index for index in range(len(images)) if images.label(index) == data.only_label]
        images = Subset(images, indices)
    if not len(images):
        raise ArgumentError(f"data.source {data.source}: no images are left for the {split} split")
    return images


def _mixture(data: DataConfig, channels: int, split: Split, seed: int, smallest: tuple[int, int] | None) -> ImageSet:
    sources = [replace(data, source=source, others=(), shares=()) for source in (data.source, *data.others)]
    sets = [open_dataset(source, channels, split, seed=seed, smallest=smallest) for source in sources]
    if split == "train":
        return Mixture.of(sets, [1 - sum(data.shares), *data.shares])
    return Mixture(sets, [len(images) for images in sets])


def run_images(config: RunConfig, split: Split) -> ImageSet:
    """Open one split of a run's data: images that its model takes, and large enough for a sample.

    Raises:
        ArgumentError: the data is not there, or none of it can be used.
    """
    from aeedge.models import model_config  # torch, which reading data does not need

    model = model_config(config.model)
    smallest = config.data.crop or getattr(model, "patch", None)
    return open_dataset(config.data, model.channels, split, seed=config.training.seed, smallest=smallest)


def traits(*sets: ImageSet) -> tuple[float, ...]:
    """Return what tells these images from others: how many there are, and the mean sample, 0..255, of some of them.

    Means and not hashes: another machine's JPEG decoder may be off by a level here and there.
    """
    return tuple(value for images in sets for value in _traits(images))


def _traits(images: ImageSet) -> tuple[float, ...]:
    count = len(images)
    looked_at = sorted({place * count // LOOKED_AT for place in range(LOOKED_AT)})
    return (count, *(round(float(images.image(place).mean()), 3) for place in looked_at))


def are_same(before: Sequence[float], now: Sequence[float]) -> bool:
    """Return whether `traits` are of the same images; empty ones, of a run that kept none, match any."""
    close = len(before) == len(now) and all(abs(a - b) <= SAME_LEVEL for a, b in zip(before, now, strict=True))
    return not before or close


def sample(images: ImageSet, seed: int, count: int) -> Subset:
    """Return up to `count` of some images, the choice fixed by the seed; they are opened one by one."""
    return Subset(images, randomness.generator(seed, "sample").permutation(len(images))[:count])


def sample_images(images: ImageSet, seed: int, count: int) -> list[NDArray[np.uint8]]:
    """Return the images of `sample`, as uint8 [H, W, C].

    Those larger than 768 pixels a side are cut at their center; otherwise sizes are what the source has, so not always
    multiples of a model's stride.
    """
    side = LARGEST_SAMPLE_SIDE
    return [center_crop(picture, (side, side)) for picture in sample(images, seed, count)]


def center_crop(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return at most `size` rows and columns around the center of an image [H, W, C]."""
    top, left = (max(0, (have - want) // 2) for have, want in zip(image.shape[:2], size, strict=True))
    return image[top : top + size[0], left : left + size[1]]


def _held_out_count(data: DataConfig, count: int) -> int:
    return max(1, min(data.held_out_most, round(data.held_out * count), count - 1))


def _split(images: ImageSet, data: DataConfig, split: Split, seed: int) -> ImageSet:
    """Divide training images into those trained on and those held out."""
    count = len(images)
    if count < 2:
        raise ArgumentError(f"data.source {data.source}: found {count} image, expected at least 2 to hold one out")
    order = randomness.generator(seed, "held out").permutation(count)
    held = _held_out_count(data, count)
    chosen = np.sort(order[:held] if split == "held-out" else order[held:])
    if data.count and split == "train":
        chosen = chosen[: data.count]
    return Subset(images, chosen)


def _synthetic(data: DataConfig, channels: int, split: Split, seed: int) -> ImageSet:
    total = data.count or (SYNTHETIC_DIGITS if data.source == "synthetic" else SYNTHETIC_PHOTOS)
    held = _held_out_count(data, total)
    count = total if split == "train" else held
    purpose = randomness.derived_seed(seed, data.source, split)  # the splits are different streams of images
    if data.source == "synthetic":
        images, labels = synthetic.digits(purpose, 0, count)
        return ArrayImages(_with_channels(images, channels, data.source), labels)
    photos = np.stack([synthetic.photo(purpose, index) for index in range(count)])
    return ArrayImages(_with_channels(photos, channels, data.source))


def _graphics(data: DataConfig, channels: int, split: Split, seed: int) -> ImageSet:
    total = data.count or SYNTHETIC_GRAPHICS
    count = total if split == "train" else _held_out_count(data, total)
    return Graphics(randomness.derived_seed(seed, data.source, split), count, channels)


def _torchvision(data: DataConfig, channels: int, split: Split, seed: int) -> ImageSet:
    from aeedge.training.data.torchvision_sets import read_torchvision

    pixels, labels = read_torchvision(TORCHVISION[data.source], Path(data.data_dir), test=split == "test")
    images = ArrayImages(_with_channels(pixels, channels, data.source), labels)
    if split == "test":
        return Subset(images, range(min(len(images), data.count))) if data.count else images
    return _split(images, data, split, seed)


def _folder(data: DataConfig, channels: int, split: Split, seed: int, smallest: tuple[int, int]) -> ImageSet:
    root, classes = Path(data.source), None
    if (root / "train").is_dir() and (root / "test").is_dir():
        parts = [(root / name, image_paths(root / name)) for name in ("train", "test")]
        classes = sorted({name for part in parts for name in class_names(*part)})
        if split == "test":
            return FolderImages(*parts[1], channels, smallest, classes)
        root = root / "train"
    elif "/" not in data.source and not root.exists():
        names = ", ".join(["synthetic", "synthetic-photos", "synthetic-graphics", *TORCHVISION])
        raise ArgumentError(f'data.source: found "{data.source}", expected a folder of images or one of {names}')
    paths = image_paths(root, warn=split == "train")
    if len(paths) < 2:
        raise ArgumentError(f"{root}: found 1 image, expected at least 2, one of them to hold out")
    usable = partial(is_usable, channels=channels, smallest=smallest)
    held = held_out_paths(root, paths, _held_out_count(data, len(paths)), seed, usable)
    chosen = [path for path in paths if (path in held) == (split != "train")]
    if data.count and split == "train":
        chosen = chosen[: data.count]
    return FolderImages(root, chosen, channels, smallest, classes or class_names(root, paths))


def _with_channels(images: NDArray[np.uint8], channels: int, source: str) -> NDArray[np.uint8]:
    """Return images [N, H, W, C] with the model's channels: gray is repeated, of color the luma is taken."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    message = f"{source} has color images and the model has 1 channel; they are converted to gray"
    warnings.warn(message, AeedgeWarning, stacklevel=5)
    return to_gray(images)
