"""Batches: images of one size as one array, as the networks take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Pixels, array_of, is_array
from ..binary import is_binary
from ..errors import ArgumentError, LimitError
from ..profiling import staged
from .load import Source, load_picture
from .picture import Picture, check_array, check_size, match_channels, split_alpha


@dataclass(frozen=True, eq=False)
class Stack:
    """Images of one size.

    Attributes:
        pixels: uint8 [N, H, W, C], C as the model takes it.
        alpha: uint8 [N, H, W], or None where no image has alpha.
        icc: the ICC profile that all share, or None.
        exif: the EXIF block that all share, or None.
        gray: whether all sources were gray.
        notes: what was changed or dropped, each sentence once.
    """

    pixels: Pixels
    alpha: Pixels | None
    icc: bytes | None
    exif: bytes | None
    gray: bool
    notes: tuple[str, ...]


@staged("load_image")
def stack_images(images: Iterable[Source] | NDArray[Any], channels: int, max_pixels: int) -> Stack:
    """Load images and stack them.

    Args:
        images: sources as `load_picture` takes them, or one uint8 array [N, H, W] or [N, H, W, 1 | 2 | 3 | 4].
        channels: 1 or 3, what the model takes.
        max_pixels: most pixels of all images together.

    Raises:
        ArgumentError: no image, several sizes, or another type, dtype or shape.
        ImageError, LimitError: from `load_picture`.
    """
    if not isinstance(images, list) and is_array(images):
        return _stack_array(array_of(images, "images"), channels, max_pixels)
    if not _is_series(images):
        raise ArgumentError(
            f"images: found {type(images).__name__}, expected a list of images or an array [N, H, W, C]"
        )
    pictures: list[Picture] = []
    kept = isinstance(images, Sequence)
    for image in images:
        if not kept:  # an iterator may reuse one array
            image = _copied(image)
        # Notes that a Picture already has were reported by its maker.
        known = len(image.notes) if isinstance(image, Picture) else 0
        picture = load_picture(image, channels, max_pixels=max_pixels)
        pictures.append(replace(picture, notes=picture.notes[known:]) if known else picture)
        _check_same_size(pictures, max_pixels)
    if not pictures:
        raise ArgumentError("images: found none, expected at least one")
    return _stack_pictures(pictures)


def _copied(image: Source) -> Source:
    if isinstance(image, np.ndarray):
        return image.copy()
    if isinstance(image, Picture):
        alpha = None if image.alpha is None else np.array(image.alpha)
        return replace(image, pixels=np.array(image.pixels), alpha=alpha)
    return image


def _is_series(images: object) -> bool:
    if isinstance(images, list):  # the usual case; abstract classes take a microsecond
        return True
    return isinstance(images, Iterable) and not isinstance(images, Picture) and not is_binary(images)


def _stack_array(array: NDArray[Any], channels: int, max_pixels: int) -> Stack:
    check_array(array, "[N, H, W] or [N, H, W, C]")
    planes = array[..., None] if array.ndim == 3 else array
    if planes.ndim != 4 or not 1 <= planes.shape[3] <= 4:
        raise ArgumentError(
            f"image array: shape is {array.shape}, expected [N, H, W] or [N, H, W, C] with C from 1 to 4"
        )
    count, height, width, _ = planes.shape
    check_size(width, height, max_pixels, "image array")
    if count * height * width > max_pixels:
        raise LimitError(_too_many(count, height, width, max_pixels))
    pixels, alpha = split_alpha(planes)
    if pixels.shape[3] == channels:
        return Stack(pixels, alpha, None, None, channels == 1, ())
    # One tall picture of all rows: conversions work pixel by pixel.
    tall = match_channels(Picture(pixels.reshape(count * height, width, -1), gray=pixels.shape[3] == 1), channels)
    return Stack(tall.pixels.reshape(count, height, width, channels), alpha, None, None, tall.gray, tall.notes)


def _check_same_size(pictures: list[Picture], max_pixels: int) -> None:
    height, width, _ = pictures[-1].pixels.shape
    if (height, width) != pictures[0].pixels.shape[:2]:
        first = pictures[0].pixels.shape
        raise ArgumentError(
            f"images: number {len(pictures)} is {width}x{height}, the first is {first[1]}x{first[0]}; "
            "one stream holds images of one size"
        )
    if len(pictures) * height * width > max_pixels:
        raise LimitError(_too_many(len(pictures), height, width, max_pixels))


def _too_many(count: int, height: int, width: int, max_pixels: int) -> str:
    return (
        f"{count} images of {width}x{height} have {count * height * width} pixels, the limit is {max_pixels}; "
        "put fewer in one stream, or raise max_pixels (of compress and decompress: --max-pixels)"
    )


def _stack_pictures(pictures: list[Picture]) -> Stack:
    if len(pictures) == 1:
        return _alone(pictures[0])
    notes = dict.fromkeys(note for picture in pictures for note in picture.notes)
    alpha = None
    if any(picture.alpha is not None for picture in pictures):
        opaque = np.full(pictures[0].pixels.shape[:2], 255, np.uint8)
        alpha = np.stack([opaque if picture.alpha is None else picture.alpha for picture in pictures])
    shared: dict[str, bytes | None] = {}
    for name, title in (("icc", "ICC profiles"), ("exif", "EXIF blocks")):
        values = {getattr(picture, name) for picture in pictures}
        shared[name] = values.pop() if len(values) == 1 else None
        if values:
            notes[f"the {title} of the images differ and were dropped: one stream holds one"] = None
    return Stack(
        pixels=np.stack([picture.pixels for picture in pictures]),
        alpha=alpha,
        icc=shared["icc"],
        exif=shared["exif"],
        gray=all(picture.gray for picture in pictures),
        notes=tuple(notes),
    )


def _alone(picture: Picture) -> Stack:
    """Return a stack of one image without copying its pixels, which may be many."""
    alpha = None if picture.alpha is None else picture.alpha[None]
    notes = tuple(dict.fromkeys(picture.notes))
    return Stack(picture.pixels[None], alpha, picture.icc, picture.exif, picture.gray, notes)
