"""Stateful functions for `map_batches` of Ray Data: image files to streams and back, with errors as rows.

Each actor loads its bundle once and runs it on one thread, so there can be one actor per core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle.bundle import BundleSource
from .codec import Codec
from .codec_cache import CodecCache
from .errors import AeedgeError
from .images.save import check_suffix, image_bytes
from .stream.info import stream_info

Columns = Mapping[str, NDArray[Any]]

ERROR = "error"
"""Column of the message of each row that failed; None where it did not."""


class CompressImages:
    """Turns a column of image files into one of streams; None where an image cannot be compressed.

    Args:
        bundle: as in `Codec.load`, at a path or URL that every node can read.
        column: column of the bytes of image files, which is left out of the result.
        into: column of the streams.
        device: as in `Codec.load`.
        threads: as in `Codec.load`.
        options: quality or target and the other options of `Codec.compress`.
    """

    def __init__(
        self,
        bundle: BundleSource | None = None,
        *,
        column: str = "bytes",
        into: str = "stream",
        device: str = "cpu",
        threads: int | None = 1,
        **options: Any,
    ) -> None:
        self._codec = Codec.load(bundle, device=device, threads=threads)
        self._column, self._into, self._options = column, into, options

    def __call__(self, batch: Columns) -> dict[str, NDArray[Any]]:
        """Compress the images of a batch."""
        return _mapped(batch, self._column, self._into, lambda data: self._codec.compress(data, **self._options))


class DecompressStreams:
    """Turns a column of streams of one image each into one of image files; None where a stream cannot be read.

    Args:
        bundle: as in `CompressImages`; None finds the bundle of each stream by its stream id.
        column: column of the bytes of streams, which is left out of the result.
        into: column of the image files.
        suffix: .png, .jpg or .webp.
        device: as in `Codec.load`.
        threads: as in `Codec.load`.
        max_pixels: as in `Codec.decompress`.

    Raises:
        ArgumentError: another suffix.
    """

    def __init__(
        self,
        bundle: BundleSource | None = None,
        *,
        column: str = "stream",
        into: str = "bytes",
        suffix: str = ".png",
        device: str = "cpu",
        threads: int | None = 1,
        max_pixels: int | None = None,
    ) -> None:
        check_suffix(suffix)
        self._codecs = CodecCache(device, threads)
        self._codec = None if bundle is None else Codec.load(bundle, device=device, threads=threads)
        self._column, self._into, self._suffix, self._max_pixels = column, into, suffix, max_pixels

    def __call__(self, batch: Columns) -> dict[str, NDArray[Any]]:
        """Decompress the streams of a batch."""
        return _mapped(batch, self._column, self._into, self._decompress)

    def _decompress(self, data: bytes) -> bytes:
        codec = self._codec or self._codecs.for_stream(stream_info(data).stream_id)
        image = codec.decompress_image(data, max_pixels=self._max_pixels)
        return image_bytes(image, self._suffix)[0]


def _mapped(batch: Columns, column: str, into: str, work: Callable[[bytes], bytes]) -> dict[str, NDArray[Any]]:
    values = batch[column]
    made, errors = np.full(len(values), None, object), np.full(len(values), None, object)
    for row, value in enumerate(values):
        try:
            made[row] = work(bytes(value))
        except AeedgeError as error:
            errors[row] = str(error)
    return {name: found for name, found in batch.items() if name != column} | {into: made, ERROR: errors}
