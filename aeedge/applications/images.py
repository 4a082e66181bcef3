"""Streams images, each with its name and class, from files, folders or a named data set."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aeedge.reading import read_pixels
from aeedge.sources import Source
from aeedge_runtime import AeedgeWarning, InputError

Split = Literal["train", "test"]

BATCH_PIXELS = 1 << 20
"""Pixels of the images that go through a network together: enough to keep it busy, and bounded."""

BATCH_IMAGES = 1024


@dataclass(frozen=True, eq=False)
class NamedImage:
    """One image.

    Attributes:
        name: relative path of a file; place in a data set, as in `test/00012`.
        pixels: uint8 [H, W, C], C as the model takes it.
        label: its class: the first folder below the one that was named, or the data set's class; "" where unknown.
    """

    name: str
    pixels: NDArray[np.uint8]
    label: str


def file_images(
    sources: Iterable[Source], channels: int, failed: Callable[[Source, InputError], None]
) -> Iterator[NamedImage]:
    """Yield the images of files, each read when it is requested.

    Args:
        sources: the files, as `aeedge.sources.find_sources` gives them.
        channels: 1 or 3; images are converted, and each kind of change is warned about once.
        failed: called with every file that is not a readable image; it is left out.
    """
    known: set[str] = set()
    for source in sources:
        try:
            pixels, notes = read_pixels(source.read(), channels)
        except InputError as error:
            failed(source, error)
            continue
        for note in notes:
            if note not in known:
                known.add(note)
                warnings.warn(f"{source.name}: {note} (shown once)", AeedgeWarning, stacklevel=2)
        label = source.relative.parts[0] if source.from_folder and len(source.relative.parts) > 1 else ""
        yield NamedImage(source.relative.as_posix(), pixels, label)


def dataset_images(name: str, channels: int, data_dir: str, split: Split) -> Iterator[NamedImage]:
    """Yield the images of a data set; see `aeedge.training.data.datasets.open_dataset`, whose errors this raises.

    Args:
        name: "mnist", "fashion-mnist", "cifar10", "stl10", "synthetic" or "synthetic-photos".
        channels: 1 or 3.
        data_dir: folder of its files.
        split: "train" leaves out what training holds out.
    """
    from aeedge.training.config import DataConfig
    from aeedge.training.data.datasets import open_dataset

    images = open_dataset(DataConfig(source=name, data_dir=data_dir), channels, split)
    for index in range(len(images)):
        label = images.label(index)
        yield NamedImage(f"{split}/{index:05}", images.image(index), "" if label is None else str(label))


def batches(images: Iterable[NamedImage]) -> Iterator[list[NamedImage]]:
    """Yield batches of consecutive images of one size, of bounded size."""
    waiting: list[NamedImage] = []
    for image in images:
        if waiting and (image.pixels.shape != waiting[0].pixels.shape or _full(waiting)):
            yield waiting
            waiting = []
        waiting.append(image)
    if waiting:
        yield waiting


def limited(images: Iterable[NamedImage], count: int | None) -> Iterator[NamedImage]:
    """Yield the first `count` images; all when None."""
    return islice(images, count)


def stack(images: list[NamedImage]) -> NDArray[np.uint8]:
    """Return the pixels of images of one size, uint8 [N, H, W, C]."""
    return np.stack([image.pixels for image in images])


def _full(images: list[NamedImage]) -> bool:
    pixels: int = images[0].pixels[..., 0].size
    return len(images) >= min(BATCH_IMAGES, max(1, BATCH_PIXELS // pixels))
