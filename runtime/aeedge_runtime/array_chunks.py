"""Chunks of large arrays as streams, for libraries that store an array chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Pixels
from .bundle.bundle import BundleSource
from .codec import Codec
from .codec_cache import CodecCache
from .errors import ArgumentError
from .notices import collected

MOST_CHANNELS = 4

_CODECS = CodecCache(threads=1)


@dataclass(frozen=True)
class ChunkCodec:
    """Writes chunks with one bundle, and reads them.

    Attributes:
        stream_id: of the bundle, 16 hex digits; the bundle is found by it where the array is read.
        quality: 1..100; None with `max_error`.
        max_error: largest error of a sample, 0 for lossless; None with `quality`.
    """

    stream_id: str
    quality: int | None = 50
    max_error: int | None = None
    _codec: Codec | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        quality: int | None = None,
        max_error: int | None = None,
        bundle: BundleSource | None = None,
        stream_id: str | None = None,
    ) -> ChunkCodec:
        """Make one of what a user names: a bundle, or its stream id; the shipped bundle `photo` by default.

        Raises:
            ArgumentError: both a bundle and another stream id, or both a quality and a bound.
            ModelNotFoundError: there is no such bundle.
        """
        if quality is not None and max_error is not None:
            raise ArgumentError("quality cannot be combined with max_error; leave one of them out")
        codec = None
        if stream_id is None or bundle is not None:
            codec = _CODECS.for_bundle(bundle)
            found = codec.bundle.manifest.stream_id
            if stream_id not in (None, found):
                raise ArgumentError(f"bundle: found stream id {found}, expected {stream_id}; leave one of them out")
            stream_id = found
        return cls(stream_id or "", 50 if quality is None and max_error is None else quality, max_error, codec)

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """Compress a chunk, uint8 [H, W], [H, W, C] with C up to 4, [N, H, W] or [N, H, W, C].

        Raises:
            ArgumentError: another dtype or shape.
            AeedgeError: as in `Codec.compress_batch`.
        """
        check_chunk(chunk.shape, chunk.dtype)
        images = np.ascontiguousarray(chunk).reshape(as_batch(chunk.shape))
        with collected():  # the reader gets the chunk back as it was: a gray one as gray
            return self._for_stream().compress_batch(images, self.quality, max_error=self.max_error)

    def decode(self, data: bytes, shape: Sequence[int] | None = None) -> Pixels:
        """Decompress a chunk to its shape, or without one to [N, H, W, C].

        Raises:
            StreamError: it is damaged, or of another shape.
            ModelNotFoundError: the bundle of its stream id is not found.
        """
        images = self._for_stream().decompress_batch(data)
        return images if shape is None else _with_shape(images, tuple(shape))

    def _for_stream(self) -> Codec:
        return self._codec or _CODECS.for_stream(self.stream_id)


def check_chunk(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Check that chunks of an array can be images.

    Raises:
        ArgumentError: they cannot.
    """
    if dtype != np.uint8:
        raise ArgumentError(f"aeedge: chunks of {dtype}, expected uint8")
    if not 2 <= len(shape) <= 4 or (len(shape) == 4 and shape[3] > MOST_CHANNELS):
        raise ArgumentError(
            f"aeedge: chunks of shape {tuple(shape)}, expected [H, W], [H, W, C], [N, H, W] or [N, H, W, C], C up to 4"
        )


def as_batch(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape [N, H, W, C] of a chunk; three dimensions are [H, W, C] where the last has up to 4 values."""
    if len(shape) == 2:
        return 1, *shape, 1
    if len(shape) == 3:
        return (1, *shape) if shape[2] <= MOST_CHANNELS else (*shape, 1)
    return tuple(shape)


def _with_shape(images: Pixels, shape: tuple[int, ...]) -> Pixels:
    count, rows, columns, channels = as_batch(shape)
    if images.shape[3] + 1 == channels:  # opaque alpha is not kept
        images = np.concatenate([images, np.full((*images.shape[:3], 1), 255, np.uint8)], axis=3)
    if images.shape != (count, rows, columns, channels):
        raise ArgumentError(f"aeedge: found a chunk of {images.shape}, expected {(count, rows, columns, channels)}")
    return images.reshape(shape)
