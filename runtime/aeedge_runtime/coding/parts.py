"""Parts of streams: some images of a pack, or some rows of one image, and the chunks that they need."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..arrays import UINT8, Pixels, whole
from ..errors import ArgumentError
from ..stream.container import Stream
from ..stream.layout import Geometry


@dataclass(frozen=True)
class Part:
    """Images of a stream, and the pixel rows of each; of several images, all rows.

    Attributes:
        images: consecutive numbers of images.
        rows: consecutive pixel rows.
    """

    images: range
    rows: range

    @classmethod
    def all_of(cls, stream: Stream) -> Part:
        """Return all of a stream."""
        return cls(range(stream.count), range(stream.height))

    @classmethod
    def of_image(cls, stream: Stream, index: int | None, rows: tuple[int, int] | None) -> Part:
        """Return one image, or some of its rows.

        Args:
            stream: the stream.
            index: which image; None for the only one.
            rows: the first row and the one after the last; None for all.

        Raises:
            ArgumentError: several images without an index, or a value out of range.
        """
        if index is None:
            check_single(stream.count)
            index = 0
        number = whole("index", index, 0, stream.count - 1)
        return cls(range(number, number + 1), range(stream.height) if rows is None else _rows(rows, stream.height))

    def latent_rows(self, geometry: Geometry) -> range:
        """Return the latent rows that its pixels are made from, without context."""
        stride = geometry.stride[0]
        return range(self.rows.start // stride, -(-self.rows.stop // stride))

    def aligned(self, geometry: Geometry, height: int) -> Part:
        """Return the part with its rows extended to those of whole latent rows, within images of a height."""
        stride, latent = geometry.stride[0], self.latent_rows(geometry)
        return Part(self.images, range(latent.start * stride, min(latent.stop * stride, height)))


def check_single(count: int) -> None:
    """Refuse several images.

    Raises:
        ArgumentError: there are.
    """
    if count != 1:
        raise ArgumentError(f"the stream holds {count} images; use decompress_batch, or decompress with an index")


def check_channels(channels: object) -> None:
    """Refuse any number of channels but 3.

    Raises:
        ArgumentError: neither 3 nor None.
    """
    if channels is not None and (isinstance(channels, bool) or channels != 3):
        raise ArgumentError(f"channels: found {channels!r}, expected 3, or None for those of the stream")


def target_array(out: object, shape: tuple[int, ...]) -> Pixels:
    """Return the array to write images into: the caller's, or a new one.

    Args:
        out: as the caller passed it; None for a new one.
        shape: what it must have.

    Raises:
        ArgumentError: another type, dtype or shape, or an array that cannot be written to.
    """
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != UINT8 or out.shape != shape:
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ArgumentError(f"out: found {found}, expected a uint8 array {shape}")
    if not out.flags.writeable or not out.flags.c_contiguous:
        raise ArgumentError("out: found an array that is read-only or not contiguous; pass one made by numpy.empty")
    return out


def _rows(rows: object, height: int) -> range:
    try:
        first, stop = map(operator.index, cast(Iterable[Any], rows))
    except (TypeError, ValueError):
        first = stop = 0
    if not 0 <= first < stop <= height:
        raise ArgumentError(f"rows: found {rows!r}, expected (first, stop) with 0 <= first < stop <= {height}")
    return range(first, stop)
