"""Streams to images: what the network decodes, then what is stored, then the residual of a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Pixels, Symbols
from ..binary import BinarySource
from ..bundle.bundle import Bundle
from ..errors import WrongModelError
from ..fidelity.lossless import decode_blob
from ..fidelity.tile_paste import add_residual, paste_tiles
from ..images.save import finished
from ..profiling import staged
from ..stream.container import ALPHA, EXIF, ICC, NAMES, Stream, StreamHeader, read_stream
from ..stream.info import stream_bytes
from ..stream.layout import Geometry, blocks_with
from ..stream.sections import unpack_alpha, unpack_names
from .blocks import ArrayCanvas, Canvas, ImageCanvas, decode_blocks, plan_blocks
from .chunk_io import ChunkReader
from .networks import Networks
from .parts import Part, check_channels, check_single, target_array
from .preview import PreviewCanvas, decode_preview, has_preview, reduced
from .recent import Recent, RecentChunks

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_KEPT = 4
"""What one image of a pack needs: its chunk, a blob of stored tiles, one of the residual, and alpha."""


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
        light: its graphs with the decoder that was chosen; None for the full one. A residual belongs to the pixels of
            the full one, so streams that have one take that.
        recent: keeps what the last image needed.
    """

    def __init__(
        self, bundle: Bundle, networks: Networks, light: Networks | None = None, recent: Recent | None = None
    ) -> None:
        self._bundle, self._networks = bundle, networks
        self._light = networks if light is None else light
        self._recent = Recent(0) if recent is None else recent

    def remembering(self) -> Decoder:
        """Return a decoder for one stream, which keeps what the last image needed."""
        return Decoder(self._bundle, self._networks, self._light, Recent(MOST_KEPT))

    @staged("read_container")
    def open(self, data: BinarySource, max_pixels: int | None) -> Stream:
        """Return a checked stream.

        Raises:
            StreamError, WrongModelError, LimitError, ArgumentError: as `Codec.decompress`.
        """
        limit = self._bundle.pixel_limit(max_pixels)
        stream = read_stream(stream_bytes(data), geometry_for=self._geometry_for, max_pixels=limit)
        if NAMES in stream.sections:
            unpack_names(stream.sections[NAMES], stream.count)  # a stream that breaks a rule is refused as a whole
        return stream

    def symbols(self, data: BinarySource, max_pixels: int | None) -> Symbols:
        """Return all symbols of a stream in coding order, int16 [n]."""
        stream = self.open(data, max_pixels)
        if not stream.has_symbols:
            return np.empty(0, np.int16)
        return self.reader(stream, Part.all_of(stream)).read_symbols()

    def all(self, data: BinarySource, max_pixels: int | None) -> Decoded:
        """Decode all images of a stream."""
        stream = self.open_to_decode(data, max_pixels)
        channels = self._color(stream)
        size = stream.count, stream.height, stream.width
        pixels = np.empty((*size, channels), np.uint8)
        alpha = np.empty(size, np.uint8) if stream.has_alpha else None
        self._paint_arrays(stream, Part.all_of(stream), pixels, alpha)
        return Decoded(pixels, alpha, stream)

    def batch(self, data: BinarySource, max_pixels: int | None, channels: int | None, out: Pixels | None) -> Pixels:
        """Decode all images of a stream, uint8 [N, H, W, C], alpha as the last channel; see `Codec.decompress`."""
        check_channels(channels)
        stream = self.open_to_decode(data, max_pixels)
        color = self._color(stream)
        joined = channels or color + stream.has_alpha
        pixels = target_array(out, (stream.count, stream.height, stream.width, joined))
        self._paint_joined(stream, Part.all_of(stream), color, pixels)
        return pixels

    def image_rows(
        self,
        stream: Stream,
        index: int | None,
        rows: tuple[int, int] | None,
        channels: int | None,
        out: Pixels | None,
    ) -> Pixels:
        """Decode one image of a stream or some of its rows, uint8 [rows, W, C]; see `Codec.decompress`."""
        check_channels(channels)
        color = self._color(stream)
        part = Part.of_image(stream, index, rows)
        joined = channels or color + stream.has_alpha
        pixels = target_array(out, (len(part.rows), stream.width, joined))
        painted = self._extended(part, stream)
        if painted == part:
            self._paint_joined(stream, part, color, pixels[None])
            return pixels
        more = np.empty((1, len(painted.rows), stream.width, joined), np.uint8)
        self._paint_joined(stream, painted, color, more)
        first = part.rows.start - painted.rows.start
        pixels[...] = more[0, first : first + len(pixels)]
        return pixels

    def image(self, data: BinarySource, max_pixels: int | None) -> Image:
        """Decode the only image of a stream to a PIL image, block by block, with its metadata."""
        from PIL import Image

        stream = self.open_to_decode(data, max_pixels)
        channels = self._color(stream)
        check_single(stream.count)
        image = Image.new("L" if channels == 1 else "RGB", (stream.width, stream.height))
        alpha = np.empty((1, stream.height, stream.width), np.uint8) if stream.has_alpha else None
        self._paint(stream, Part.all_of(stream), ImageCanvas(image), alpha)
        return finished(image, None if alpha is None else alpha[0], stream.sections.get(ICC), stream.sections.get(EXIF))

    def preview(self, data: BinarySource, max_pixels: int | None) -> tuple[Pixels, Stream]:
        """Return the preview of the only image of a stream, uint8 [h, w, C], alpha as the last channel."""
        stream = self.open_to_decode(data, max_pixels)
        check_single(stream.count)
        if not has_preview(self._bundle, stream):
            return reduced(self.image_rows(stream, None, None, None, None)), stream
        reader = self.reader(stream, Part.all_of(stream), first_group=True)
        pixels = decode_preview(self._bundle, self._networks, stream, reader, self._color(stream))
        if stream.tiles is not None:
            paste_tiles(stream.tiles, PreviewCanvas(pixels))
        return pixels, stream

    def reader(self, stream: Stream, part: Part, *, first_group: bool = False) -> ChunkReader:
        """Return a reader of the chunks that hold a part and its context, or of their first group of channels."""
        geometry, overlap = self._bundle.geometry, self._bundle.manifest.limits.overlap
        plan, first = plan_blocks(self._bundle, stream.count, stream.height, stream.width), 0
        if part != Part.all_of(stream):
            rows, h = part.latent_rows(geometry), geometry.latent_size(stream.height, stream.width)[0]
            every = [span for block in plan for span in block.spans]
            plan = blocks_with(plan, part.images, range(max(rows.start - overlap, 0), min(rows.stop + overlap, h)))
            first = every.index(plan[0].spans[0])
        workers = self._networks.workers(plan)
        prior = self._networks.prior(compress=False, workers=workers, first_group=first_group)
        if self._recent.most and len(plan) == len(plan[0].spans) == 1:
            return RecentChunks(self._recent, stream, self._bundle, plan, prior, workers, first)
        return ChunkReader(stream, self._bundle, plan, prior, workers, first)

    def open_to_decode(self, data: BinarySource, max_pixels: int | None) -> Stream:
        """Return a checked stream, which can be decoded; errors as `open`, and MissingHalfError."""
        self._bundle.require("decoder", "decompress")
        return self.open(data, max_pixels)

    def _extended(self, part: Part, stream: Stream) -> Part:
        """Return what the network must decode for a part of an image: whole latent rows, or all of the image."""
        geometry, height = self._bundle.geometry, stream.height
        if stream.has_symbols and not self._networks.in_parts(*geometry.latent_size(height, stream.width)):
            return Part(part.images, range(height))
        return part.aligned(geometry, height)

    def _color(self, stream: Stream) -> int:
        """Return the channels of a stream's images without alpha."""
        return 1 if stream.gray else self._bundle.manifest.image.channels

    def _decode_blob(self, blob: bytes, height: int, width: int, channels: int) -> Pixels:
        return self._recent.get(("blob", id(blob)), lambda: decode_blob(blob, height, width, channels))

    def _alpha(self, stream: Stream) -> Pixels:
        size = stream.count, stream.height, stream.width
        return self._recent.get("alpha", lambda: unpack_alpha(stream.sections[ALPHA], *size))

    def _paint_joined(self, stream: Stream, part: Part, color: int, pixels: Pixels) -> None:
        """Fill in images, uint8 [N, rows, W, C], of which the channels beyond `color` are alpha, or gray repeated."""
        has_alpha = pixels.shape[3] in (2, 4)
        self._paint_arrays(stream, part, pixels[..., :color], pixels[..., color] if has_alpha else None)
        if not has_alpha:
            pixels[..., color:] = pixels[..., :1]

    def _paint_arrays(self, stream: Stream, part: Part, pixels: Pixels, alpha: Pixels | None) -> None:
        self._paint(stream, part, ArrayCanvas(pixels, part, stream.height), alpha)

    @staged("to_image")
    def _paint(self, stream: Stream, part: Part, canvas: Canvas, alpha: Pixels | None) -> None:
        """Fill in a part, and its alpha, uint8 [N, rows, W]."""
        if stream.has_symbols:
            networks = self._light if stream.bound is None else self._networks
            decode_blocks(self._bundle, networks, self.reader(stream, part), canvas, part)
        if alpha is not None and ALPHA in stream.sections:
            alpha[:] = self._alpha(stream)[part.images.start : part.images.stop, part.rows.start : part.rows.stop]
        if stream.tiles is not None:
            plane = None if alpha is None else ArrayCanvas(alpha[..., None], part, stream.height)
            paste_tiles(stream.tiles, canvas, plane, self._decode_blob)
        if stream.bound is not None:
            add_residual(stream.bound, canvas, self._decode_blob)

    def _geometry_for(self, header: StreamHeader) -> Geometry:
        if header.stream_id != self._bundle.stream_id:
            raise WrongModelError(
                f"the stream needs the model with stream id {header.stream_id.hex()}, "
                f"{self._bundle} has {self._bundle.stream_id.hex()}; pass the bundle that wrote it"
            )
        return self._bundle.geometry
