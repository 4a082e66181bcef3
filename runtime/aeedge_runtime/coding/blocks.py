"""Blocks of large images: latents, symbols and activations of one part of an image at a time.

Chunks are independent of each other, and the networks see no further than the manifest's `overlap`. So an image or
batch of more than `band_pixels` is encoded and decoded block by block, each block made of consecutive chunks; only rows
within the overlap are kept from one block to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Pixels, all_finite
from ..bundle.bundle import Bundle
from ..errors import BundleError
from ..images.save import pillow_image
from ..limits import SLAB_PIXELS
from ..profiling import advance, expect
from ..stream.layout import Block, blocks
from .chunk_io import ChunkReader
from .networks import Networks
from .parts import Part
from .tiling import within

if TYPE_CHECKING:
    from PIL.Image import Image

BLOCK_SYMBOLS = 1 << 25
"""Latent symbols of one block of a large image: 128 MB as float32, 160 latent rows of 10,000 pixels of `photo`."""


def plan_blocks(bundle: Bundle, count: int, height: int, width: int) -> list[Block]:
    """Return the blocks of images of one size: one or, above the bundle's `band_pixels`, several of bounded size.

    Args:
        bundle: gives limits and geometry.
        count: number of images.
        height: rows of each in pixels.
        width: columns of each in pixels.

    Raises:
        LimitError: rows too wide for a chunk.
    """
    geometry, limits = bundle.geometry, bundle.manifest.limits
    h, w = geometry.latent_size(height, width)
    position_pixels = geometry.stride[0] * geometry.stride[1]
    if count * h * w * position_pixels <= limits.band_pixels:
        return blocks(geometry, count, h, w, None)
    most = limits.band_pixels * geometry.latent_channels // position_pixels
    return blocks(geometry, count, h, w, min(most, BLOCK_SYMBOLS))


class BlockLatents:
    """Latents of images, block by block; can be iterated over repeatedly.

    The latents of a single block are kept, because a rate search codes them at several qualities. Those of several
    blocks are computed again each time: keeping them would take the memory that blocks save.

    Args:
        bundle: the model.
        networks: its graphs.
        pixels: uint8 [N, H, W, C].

    Attributes:
        plan: the blocks.
    """

    def __init__(self, bundle: Bundle, networks: Networks, pixels: Pixels) -> None:
        self._bundle, self._networks, self._pixels = bundle, networks, pixels
        self.plan = plan_blocks(bundle, *pixels.shape[:3])
        self._single: Floats | None = None

    def __iter__(self) -> Iterator[tuple[Block, Floats]]:
        """Yield blocks in order with their latents, float32 [images, c, rows, w].

        Raises:
            BundleError: the encoder gives NaN or infinity.
        """
        if len(self.plan) == 1:
            if self._single is None:
                self._single = finite(self._bundle, self._networks.encode(self._pixels))
            yield self.plan[0], self._single
            return
        for block in self.plan:
            yield block, self._encode(block)

    def _encode(self, block: Block) -> Floats:
        pixels = self._pixels[block.images.start : block.images.stop]
        return finite(self._bundle, self._networks.encode_rows(pixels, block.rows))


def finite(bundle: Bundle, latents: Floats) -> Floats:
    """Return latents unchanged if they are finite.

    Raises:
        BundleError: they hold NaN or infinity.
    """
    if not all_finite(latents):
        raise BundleError(f"{bundle}: the encoder returned NaN or infinity; export the bundle again")
    return latents


Differences = NDArray[np.int32]


class PasteTarget(Protocol):
    """A target for stored pixels."""

    @property
    def channels(self) -> int:
        """Channels: those of the model, or one for the luma of a color model."""

    @property
    def rows(self) -> range:
        """Pixel rows that it holds, counted over all images of the stream, stacked from top to bottom."""

    def paste(self, top: int, left: int, pixels: Pixels) -> None:
        """Replace pixels, uint8 [h, w, C]; rows are counted as in `rows`, and those beyond are left out."""


class Canvas(PasteTarget, Protocol):
    """A target for decoded pixels."""

    def fill(self, images: range, rows: slice, decode: Callable[[Pixels], None]) -> None:
        """Have `decode` fill some rows of some images, uint8 [images, rows, W, C]."""

    def add(self, top: int, left: int, difference: Differences) -> None:
        """Add to pixels, int32 [h, w, C], and clip them; rows as in `paste`."""


class ArrayCanvas:
    """An array, uint8 [images, rows, W, C], decoded into directly.

    Args:
        pixels: the array; images and rows must be contiguous.
        part: what of the stream it holds.
        height: rows of an image of the stream.
    """

    def __init__(self, pixels: Pixels, part: Part, height: int) -> None:
        self._pixels, self._part = pixels, part
        self._tall = pixels.reshape(-1, *pixels.shape[2:])
        self.channels = int(pixels.shape[3])
        top = part.images.start * height + part.rows.start
        self.rows = range(top, top + len(self._tall))

    def fill(self, images: range, rows: slice, decode: Callable[[Pixels], None]) -> None:
        """Implement Canvas."""
        first_image, first_row = self._part.images.start, self._part.rows.start
        decode(
            self._pixels[
                images.start - first_image : images.stop - first_image, rows.start - first_row : rows.stop - first_row
            ]
        )

    def paste(self, top: int, left: int, pixels: Pixels) -> None:
        """Implement Canvas."""
        target, source = self._common(top, len(pixels))
        self._tall[target, left : left + pixels.shape[1]] = pixels[source]

    def add(self, top: int, left: int, difference: Differences) -> None:
        """Implement Canvas."""
        target, source = self._common(top, len(difference))
        pixels = self._tall[target, left : left + difference.shape[1]]
        pixels[...] = np.clip(pixels + difference[source], 0, 255)

    def _common(self, top: int, height: int) -> tuple[slice, slice]:
        """Return the rows of a rectangle that this array holds, in the array and in the rectangle."""
        first, stop = max(top, self.rows.start), max(min(top + height, self.rows.stop), top, self.rows.start)
        return slice(first - self.rows.start, stop - self.rows.start), slice(first - top, stop - top)


class ImageCanvas:
    """A gray or RGB PIL image that receives rows as they are decoded, so a large image exists once."""

    def __init__(self, image: Image) -> None:
        self.channels, self.rows = len(image.getbands()), range(image.height)
        self._image = image

    def fill(self, images: range, rows: slice, decode: Callable[[Pixels], None]) -> None:
        """Implement Canvas."""
        first, stop, _ = rows.indices(self._image.height)
        band = np.empty((1, stop - first, self._image.width, self.channels), np.uint8)
        decode(band)
        self.paste(first, 0, band[0])

    def paste(self, top: int, left: int, pixels: Pixels) -> None:
        """Implement Canvas."""
        step = max(SLAB_PIXELS // pixels.shape[1], 1)  # Pillow's copy of what is pasted stays small
        for first in range(0, len(pixels), step):
            self._image.paste(pillow_image(pixels[first : first + step]), (left, top + first))

    def add(self, top: int, left: int, difference: Differences) -> None:
        """Implement Canvas."""
        height, width, channels = difference.shape
        step = max(SLAB_PIXELS // width, 1)
        for first in range(0, height, step):
            part = difference[first : first + step]
            area = left, top + first, left + width, top + first + len(part)
            pixels = np.asarray(self._image.crop(area)).reshape(len(part), width, channels)
            self.paste(top + first, left, np.clip(pixels + part, 0, 255).astype(np.uint8))


def decode_blocks(bundle: Bundle, networks: Networks, reader: ChunkReader, canvas: Canvas, part: Part) -> None:
    """Decode chunks of a stream into pixels.

    Args:
        bundle: the model.
        networks: its graphs.
        reader: of the chunks that hold the part and its context, positioned before the first one.
        canvas: filled in, with the whole latent rows of the part.
        part: what to decode.

    Raises:
        StreamError: from `reader`; what was filled in until then must not be used.
    """
    h, w = reader.latent_size
    overlap, stride = bundle.manifest.limits.overlap, bundle.geometry.stride[0]
    wanted = part.latent_rows(bundle.geometry)
    buffer = _latent_buffer(bundle, reader.plan, h, w)
    done, kept = wanted.start, 0
    expect(2 * sum(len(block.spans) for block in reader.plan))
    for block in reader.plan:
        held = range(block.rows.start - kept, block.rows.stop)
        latents = buffer[: len(block.images), :, : len(held)]
        reader.read_block(block, latents[:, :, kept:])
        rows = range(done, min(wanted.stop, h if held.stop == h else max(held.stop - overlap, done)))
        if rows:
            images = range(max(block.images.start, part.images.start), min(block.images.stop, part.images.stop))
            decode = partial(networks.decode_rows, latents[within(images, block.images)], held, rows, h=h)
            canvas.fill(images, slice(rows.start * stride, rows.stop * stride), decode)
        advance(len(block.spans))
        if held.stop == h:
            done, kept = wanted.start, 0  # the next block is of other images
            continue
        done = rows.stop
        kept = held.stop - max(done - overlap, held.start)
        latents[:, :, :kept] = latents[:, :, len(held) - kept :]


def _latent_buffer(bundle: Bundle, plan: Sequence[Block], h: int, w: int) -> Floats:
    """Return an array for the latents of any block and the rows kept from the one before; allocating per block is slow.

    Rows are kept from `overlap` above those that wait for context, which are at most `overlap` rows.
    """
    images = max(len(block.images) for block in plan)
    rows = max(len(block.rows) for block in plan)
    more = 0 if rows == h else 2 * bundle.manifest.limits.overlap
    return np.empty((images, bundle.geometry.latent_channels, min(rows + more, h), w), np.float32)
