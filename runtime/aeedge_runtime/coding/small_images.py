"""Checks of network inputs, cached by shape, so that small images pay for them once.

An image of 28x28 takes 40 to 80 microseconds to encode or decode, graph included. A Python call that runs right after a
graph finds no code of its own in the caches and takes several times longer than in a loop of its own, so what elsewhere
is noise is several percent here. The places that save it:

- `CheckedInputs` checks one shape of arrays once;
- `arrays.all_finite` counts (2 us less than `all`), `arrays.UINT8` and `FLOAT32` are dtypes, not scalar types;
- `coding.networks` asks first whether images go through a graph in one run, and runs small fully connected networks on
  one thread, because waking a second one takes 11 us;
- `inference.session` calls the session beneath onnxruntime's Python class.

`benchmarks/pytorch.py` measures the sum. Do not simplify one of them without running it.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..arrays import FLOAT32, UINT8, Floats, Pixels, all_finite, array_of, is_array
from ..bundle.bundle import Bundle
from ..errors import ArgumentError
from ..images.batch import Stack, stack_images
from ..images.load import Source
from ..notices import give_notices
from ..stream.layout import check_size

MOST_SHAPES = 256
"""Number of array shapes that are remembered as checked."""


class CheckedInputs:
    """Images and latents as the networks of a bundle take them.

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._encodable: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._decodable: set[tuple[int, ...]] = set()

    def pixels(self, images: Iterable[Source] | NDArray[np.uint8]) -> Pixels:
        """Return the pixels of images of one size, uint8 [N, H, W, C], within the bundle's limit.

        Raises:
            MissingHalfError: the bundle has no encoder.
            ArgumentError, ImageError, LimitError: as for `stack_images`.
        """
        array = _as_array(images)
        if array is not None and array.dtype == UINT8 and (known := self._encodable.get(array.shape)) is not None:
            return array if array.ndim == 4 else array.reshape(known)
        stack = self._stacked(images)
        give_notices(stack.notes, stacklevel=3)
        if array is not None and array.size == stack.pixels.size and len(self._encodable) < MOST_SHAPES:
            self._encodable[array.shape] = stack.pixels.shape  # as it is: no alpha to drop, no channel to add
        return stack.pixels

    def latents(self, latents: Floats, size: tuple[int, int]) -> tuple[Floats, int, int]:
        """Return latents, float32 [N, c, h, w], and the rows and columns of their images in pixels.

        Raises:
            The errors of `Codec.decode`.
        """
        latents, (height, width) = as_latent(latents), _rows_and_columns(size)
        sizes = *latents.shape, height, width
        if sizes not in self._decodable or latents.dtype != FLOAT32:
            self._check_latents(latents, height, width)
            if len(self._decodable) < MOST_SHAPES:
                self._decodable.add(sizes)
        if not all_finite(latents):
            raise ArgumentError("decode: the latent holds NaN or infinity")
        return latents, height, width

    def _stacked(self, images: Iterable[Source] | NDArray[np.uint8]) -> Stack:
        self._bundle.require("encoder", "encode")
        limit = self._bundle.pixel_limit()
        stack = stack_images(images, self._bundle.manifest.image.channels, limit)
        count, height, width, _ = stack.pixels.shape
        rows, columns = self._bundle.geometry.stride
        if height % rows or width % columns:  # otherwise there is no padding, and all pixels are counted already
            check_size(self._bundle.geometry, count, height, width, limit)
        return stack

    def _check_latents(self, latents: NDArray[Any], height: int, width: int) -> None:
        """Refuse what the decoder does not take."""
        self._bundle.require("decoder", "decode")
        check_size(self._bundle.geometry, max(len(latents), 1), height, width, self._bundle.pixel_limit())
        expected = (self._bundle.manifest.latent_channels, *self._bundle.geometry.latent_size(height, width))
        if latents.dtype != np.float32 or latents.shape[1:] != expected or not len(latents):
            wanted = f"float32 [N, {', '.join(map(str, expected))}]"
            raise ArgumentError(f"decode: latent is {latents.dtype} {latents.shape}, expected {wanted}")


def as_latent(latent: object) -> NDArray[Any]:
    """Return a latent as an array of at least one dimension.

    Raises:
        ArgumentError: it is not an array.
    """
    if not isinstance(latent, np.ndarray):
        try:
            latent = array_of(latent if is_array(latent) else np.asarray(latent), "latent")
        except ValueError as error:
            raise ArgumentError(f"latent: not an array ({error})") from None
    values = latent if latent.dtype.isnative else array_of(latent, "latent")
    return values if values.ndim else values[None]


def _as_array(images: object) -> NDArray[Any] | None:
    """Return images as one array if they are one, or a list of a single one; nothing is checked or copied."""
    if isinstance(images, list) and len(images) == 1 and isinstance(images[0], np.ndarray):
        return images[0][None]
    return images if isinstance(images, np.ndarray) else None


def _rows_and_columns(size: object) -> tuple[int, int]:
    try:
        rows, columns = cast(Iterable[Any], size)
        height, width = operator.index(rows), operator.index(columns)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ArgumentError(f"decode: size is {size!r}, expected (rows, columns), integers of at least 1")
    return height, width
