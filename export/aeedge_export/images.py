"""Images for the export of a network that comes without a run: some to calibrate, others held out."""

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge.reading import read_pixels
from aeedge.training.data.folder import image_paths
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.source import CHECK_IMAGES, CONVOLUTIONAL_IMAGES, PATCHED_IMAGES
from aeedge_runtime.errors import AeedgeWarning, ArgumentError, InputError

LARGEST_SIDE = 768
"""Rows and columns of an image that are used, around its center."""

HELD_OUT = 3
"""One in this many images is held out."""

Image = NDArray[np.uint8]
Data = Path | str | Sequence[Image]


def split_images(model: Autoencoder, data: Data, most: int = CONVOLUTIONAL_IMAGES) -> tuple[list[Image], list[Image]]:
    """Return images to calibrate on and others to check with, uint8 `[H, W, C]`.

    Args:
        model: decides on channels and how many images are needed.
        data: a folder of images, or arrays uint8 `[H, W, C]` or `[H, W]`.
        most: images to calibrate a convolutional network on, at most.

    Raises:
        ArgumentError: there are fewer than two usable images, or arrays of another kind.
    """
    found = _read_folder(model, Path(data)) if isinstance(data, Path | str) else _checked(model, data)
    side = _largest_side(model)
    wanted = (PATCHED_IMAGES, PATCHED_IMAGES) if model.patched else (most, CHECK_IMAGES)
    chosen: tuple[list[Image], list[Image]] = [], []
    have = [0, 0]
    for number, image in enumerate(_cropped(image, side) for image in found):
        part = int(number % HELD_OUT == 1)
        if have[part] < wanted[part]:
            chosen[part].append(image)
            have[part] += _patches(model, image) if model.patched else 1
        if have[0] >= wanted[0] and have[1] >= wanted[1]:
            break
    if not chosen[0] or not chosen[1]:
        where, count = data if isinstance(data, Path | str) else "data", len(chosen[0])
        kind = "images of at least {}x{}".format(*model.stride) if model.patched else "images"
        raise ArgumentError(
            f"{where}: {count} usable {kind}, expected at least 2; for good tables give {CONVOLUTIONAL_IMAGES} and "
            f"{CHECK_IMAGES} more to check with, or {PATCHED_IMAGES} patches"
        )
    return chosen


def _largest_side(model: Autoencoder) -> int:
    """Return the side of the crops that are used: a padded one must not exceed the pixel limit of a network."""
    stride = max(model.stride)
    if isinstance(model, AdaptedAutoencoder) and model.whole:
        return max(1, min(LARGEST_SIDE, math.isqrt(model.whole)) // stride) * stride
    return max(LARGEST_SIDE, stride)


def _patches(model: Autoencoder, image: Image) -> int:
    rows, columns = (int(have) // need for have, need in zip(image.shape[:2], model.stride, strict=True))
    return rows * columns


def _read_folder(model: Autoencoder, folder: Path) -> Iterator[Image]:
    """Give the images of a folder in an order that new files hardly change."""

    def rank(path: Path) -> bytes:
        return hashlib.blake2b(path.relative_to(folder).as_posix().encode(errors="surrogateescape")).digest()

    for path in sorted(image_paths(folder), key=rank):
        try:
            image = read_pixels(path, model.channels)[0]
        except InputError as error:
            warnings.warn(f"skipped: {error}", AeedgeWarning, stacklevel=2)
            continue
        if not model.patched or all(have >= need for have, need in zip(image.shape, model.stride, strict=False)):
            yield image


def _checked(model: Autoencoder, arrays: Sequence[Image]) -> Iterator[Image]:
    for array in arrays:
        image = np.asarray(array)[..., None] if np.ndim(array) == 2 else np.asarray(array)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != model.channels:
            raise ArgumentError(
                f"data: an array of {image.dtype} {image.shape}, expected uint8 [H, W, {model.channels}]"
            )
        yield image


def _cropped(image: Image, side: int) -> Image:
    top, left = (max(0, (size - side) // 2) for size in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])
