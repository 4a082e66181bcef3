"""Codec of zarr 3 that stores chunks of images as streams; found by zarr through its entry point."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec

from .array_chunks import ChunkCodec, check_chunk
from .bundle.bundle import BundleSource

NAME = "aeedge.image"
"""Name of the codec in the metadata of an array."""


@dataclass(frozen=True)
class AeedgeCodec(ArrayBytesCodec):  # type: ignore[misc, unused-ignore]  # zarr is optional
    """Serializer of uint8 chunks [H, W], [H, W, C], [N, H, W] or [N, H, W, C]: `zarr.create_array(serializer=...)`.

    Use it without compressors: a stream does not get smaller.

    Args:
        quality: 1..100; 50 by default.
        max_error: largest error of a sample instead, 0 for lossless.
        bundle: as in `Codec.load`; by default the shipped bundle `photo`.
        stream_id: of the bundle, which is then found by it.

    Raises:
        ArgumentError: values that exclude each other.
        ModelNotFoundError: there is no such bundle.
    """

    chunks: ChunkCodec
    is_fixed_size = False

    def __init__(
        self,
        quality: int | None = None,
        max_error: int | None = None,
        bundle: BundleSource | None = None,
        stream_id: str | None = None,
    ) -> None:
        object.__setattr__(self, "chunks", ChunkCodec.of(quality, max_error, bundle, stream_id))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make the codec of an array's metadata; its bundle is looked for when a chunk is read or written."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return what the metadata of an array say of the codec."""
        rate = {"quality": self.chunks.quality, "max_error": self.chunks.max_error}
        given = {key: value for key, value in rate.items() if value is not None}
        return {"name": NAME, "configuration": {"stream_id": self.chunks.stream_id, **given}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array of another dtype or number of dimensions when it is created."""
        check_chunk(getattr(chunk_grid, "chunk_shape", shape), dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Raise NotImplementedError: the size of a stream depends on the image."""
        raise NotImplementedError

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        data = await asyncio.to_thread(self.chunks.encode, chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        pixels = await asyncio.to_thread(self.chunks.decode, chunk_bytes.to_bytes(), chunk_spec.shape)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.ascontiguousarray(pixels))
