"""Streams to images: what the network decodes, then what is stored, then the residual of a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Pixels, Symbols
from ..binary import BinarySource
from ..bundle.bundle import Bundle
from ..errors import WrongModelError
from ..fidelity.tile_paste import add_residual, paste_tiles
from ..profiling import staged
from ..stream.container import ALPHA, NAMES, Stream, StreamHeader, read_stream
from ..stream.info import stream_bytes
from ..stream.layout import Geometry
from ..stream.sections import unpack_alpha, unpack_names
from .blocks import ArrayCanvas, Canvas, decode_blocks, plan_blocks
from .chunk_io import ChunkReader
from .networks import Networks


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images of a stream.

    Attributes:
        pixels: uint8 [N, H, W, C].
        alpha: uint8 [N, H, W], or None.
        stream: where they come from.
    """

    pixels: Pixels
    alpha: Pixels | None
    stream: Stream


class Decoder:
    """Decodes the streams of one bundle; threads may share it.

    Args:
        bundle: the model.
        networks: its graphs.
    """

    def __init__(self, bundle: Bundle, networks: Networks) -> None:
        self._bundle, self._networks = bundle, networks

    @staged("read_container")
    def open(self, data: BinarySource, max_pixels: int | None) -> tuple[Stream, ChunkReader | None]:
        """Return a checked stream and the reader of its chunks, or None where it has no symbols.

        Raises:
            StreamError, WrongModelError, LimitError, ArgumentError: as `Codec.decompress`.
        """
        limit = self._bundle.pixel_limit(max_pixels)
        stream = read_stream(stream_bytes(data), geometry_for=self._geometry_for, max_pixels=limit)
        if NAMES in stream.sections:
            unpack_names(stream.sections[NAMES], stream.count)  # a stream that breaks a rule is refused as a whole
        if not stream.has_symbols:
            return stream, None
        plan = plan_blocks(self._bundle, stream.count, stream.height, stream.width)
        workers = self._networks.workers(plan)
        prior = self._networks.prior(compress=False, workers=workers)
        return stream, ChunkReader(stream, self._bundle, plan, prior, workers)

    def open_to_decode(self, data: BinarySource, max_pixels: int | None) -> tuple[Stream, ChunkReader | None, int]:
        """Return a stream, the reader of its symbols, and the channels of its images without alpha."""
        self._bundle.require("decoder", "decompress")
        stream, reader = self.open(data, max_pixels)
        return stream, reader, 1 if stream.gray else self._bundle.manifest.image.channels

    def symbols(self, data: BinarySource, max_pixels: int | None) -> Symbols:
        """Return all symbols of a stream in coding order, int16 [n]."""
        reader = self.open(data, max_pixels)[1]
        return np.empty(0, np.int16) if reader is None else reader.read_symbols()

    @staged("to_image")
    def decode(self, data: BinarySource, max_pixels: int | None, *, joined: bool = False) -> Decoded:
        """Decode all images of a stream; alpha is their last channel if `joined`, else a separate array."""
        stream, reader, channels = self.open_to_decode(data, max_pixels)
        size = stream.count, stream.height, stream.width
        pixels = np.empty((*size, channels + int(joined and stream.has_alpha)), np.uint8)
        alpha = None
        if stream.has_alpha:
            alpha = pixels[..., channels] if joined else np.empty(size, np.uint8)
        self.paint(stream, reader, ArrayCanvas(pixels[..., :channels]), alpha)
        return Decoded(pixels, alpha, stream)

    def paint(self, stream: Stream, reader: ChunkReader | None, canvas: Canvas, alpha: Pixels | None) -> None:
        """Fill in images and their alpha, uint8 [N, H, W]."""
        if reader is not None:
            decode_blocks(self._bundle, self._networks, reader, canvas)
        if alpha is not None and ALPHA in stream.sections:
            alpha[:] = unpack_alpha(stream.sections[ALPHA], *alpha.shape)
        if stream.tiles is not None:
            paste_tiles(stream.tiles, canvas, alpha)
        if stream.bound is not None:
            add_residual(stream.bound, canvas)

    def _geometry_for(self, header: StreamHeader) -> Geometry:
        if header.stream_id != self._bundle.stream_id:
            raise WrongModelError(
                f"the stream needs the model with stream id {header.stream_id.hex()}, "
                f"{self._bundle} has {self._bundle.stream_id.hex()}; pass the bundle that wrote it"
            )
        return self._bundle.geometry
