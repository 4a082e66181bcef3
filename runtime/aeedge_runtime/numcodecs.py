"""Codec of numcodecs (zarr 2, N5, kerchunk) that stores chunks of images as streams."""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.abc import Codec as NumcodecsCodec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy

from .array_chunks import ChunkCodec
from .bundle.bundle import BundleSource


class AeedgeCodec(NumcodecsCodec):  # type: ignore[misc, unused-ignore]  # numcodecs is optional
    """Compressor of uint8 chunks [H, W], [H, W, C], [N, H, W] or [N, H, W, C].

    Args:
        quality: 1..100; 50 by default.
        max_error: largest error of a sample instead, 0 for lossless.
        bundle: as in `Codec.load`; by default the shipped bundle `photo`.
        stream_id: of the bundle, which is then found by it.
    """

    codec_id = "aeedge"

    def __init__(
        self,
        quality: int | None = None,
        max_error: int | None = None,
        bundle: BundleSource | None = None,
        stream_id: str | None = None,
    ) -> None:
        self.chunks = ChunkCodec.of(quality, max_error, bundle, stream_id)

    def get_config(self) -> dict[str, Any]:
        """Return what the metadata of an array say of the codec."""
        rate = {"quality": self.chunks.quality, "max_error": self.chunks.max_error}
        given = {key: value for key, value in rate.items() if value is not None}
        return {"id": self.codec_id, "stream_id": self.chunks.stream_id, **given}

    def encode(self, buf: Any) -> bytes:
        """Compress a chunk; see `ChunkCodec.encode`."""
        return self.chunks.encode(np.asarray(buf))

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress a chunk, into `out` where it is given."""
        pixels = self.chunks.decode(ensure_contiguous_ndarray(buf).tobytes())
        return ndarray_copy(pixels, out)
