"""The layout of a stream: how symbols form chunks, a function of the sizes alone, the same in writer and reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import LimitError
from ..limits import CHUNK_SYMBOLS, MAX_CHUNK_SYMBOLS, MAX_PIXELS


@dataclass(frozen=True)
class Geometry:
    """The facts of a model that determine sizes.

    Attributes:
        stride: pixels per latent position, (rows, columns).
        latent_channels: symbols per latent position.
        hyper_channels: hyper symbols per hyper position; 0 without a hyperprior.
        hyper_stride: latent positions per hyper position, both ways; 1 without a hyperprior.
    """

    stride: tuple[int, int]
    latent_channels: int
    hyper_channels: int = 0
    hyper_stride: int = 1

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the latent rows and columns of an image of this size in pixels."""
        return -(-height // self.stride[0]), -(-width // self.stride[1])


@dataclass(frozen=True)
class Span:
    """One chunk: latent rows [first_row, first_row + rows) of images [first_image, first_image + images)."""

    first_image: int
    images: int
    first_row: int
    rows: int


@dataclass(frozen=True)
class Block:
    """Consecutive chunks whose latents are in memory at once: of some rows of one image, or of whole images.

    Attributes:
        images: which images.
        rows: which latent rows of each.
        spans: the chunks, in order.
    """

    images: range
    rows: range
    spans: tuple[Span, ...]


def check_size(geometry: Geometry, count: int, height: int, width: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a stream that is too large for one decode, before anything is allocated for it.

    Args:
        geometry: facts of the model.
        count: images of the stream.
        height: rows of each image in pixels.
        width: columns of each image in pixels.
        max_pixels: most pixels of one decode, padding included.

    Raises:
        LimitError: more pixels than `max_pixels`, or rows too wide for a chunk.
    """
    h, w = geometry.latent_size(height, width)
    pixels = count * h * geometry.stride[0] * w * geometry.stride[1]
    if pixels > max_pixels:
        raise LimitError(
            f"{count} x {width}x{height} is {pixels} pixels with padding, the limit is {max_pixels}; "
            "use a smaller image or fewer in one stream, or raise max_pixels (of compress and decompress: --max-pixels)"
        )
    _rows_per_chunk(geometry, h, w)


def chunk_spans(geometry: Geometry, count: int, h: int, w: int) -> list[Span]:
    """Return the chunks of a stream in order: whole images if one fits in a chunk, else rows of one image.

    Args:
        geometry: facts of the model.
        count: images of the stream.
        h: latent rows of each image.
        w: latent columns of each image.

    Raises:
        LimitError: rows too wide for a chunk.
    """
    per_image = geometry.latent_channels * h * w
    if per_image <= CHUNK_SYMBOLS:
        images = CHUNK_SYMBOLS // per_image
        return [Span(first, min(images, count - first), 0, h) for first in range(0, count, images)]
    rows = _rows_per_chunk(geometry, h, w)
    return [Span(image, 1, first, min(rows, h - first)) for image in range(count) for first in range(0, h, rows)]


def blocks(geometry: Geometry, count: int, h: int, w: int, most_symbols: int | None) -> list[Block]:
    """Return the chunks of a stream in order, in blocks of a bounded number of symbols, or of one chunk.

    Args:
        geometry: facts of the model.
        count: images of the stream.
        h: latent rows of each image.
        w: latent columns of each image.
        most_symbols: most latent symbols of a block; None for a single block.

    Raises:
        LimitError: rows too wide for a chunk.
    """
    spans = chunk_spans(geometry, count, h, w)
    if most_symbols is None:
        return [Block(range(count), range(h), tuple(spans))]
    found: list[list[Span]] = []
    symbols = 0
    for span in spans:
        added = span.images * span.rows * w * geometry.latent_channels
        if not found or symbols + added > most_symbols or not _continues(found[-1][-1], span, h):
            found.append([])
            symbols = 0
        found[-1].append(span)
        symbols += added
    return [_block(part) for part in found]


def blocks_with(plan: Sequence[Block], images: range, rows: range) -> list[Block]:
    """Return what a plan has of some latent rows of some images: blocks of the chunks that hold any of them."""
    found = []
    for block in plan:
        spans = [span for span in block.spans if _touches(span, images, rows)]
        if spans:
            found.append(_block(spans))
    return found


def _touches(span: Span, images: range, rows: range) -> bool:
    return (
        span.first_image < images.stop
        and images.start < span.first_image + span.images
        and span.first_row < rows.stop
        and rows.start < span.first_row + span.rows
    )


def _continues(before: Span, span: Span, h: int) -> bool:
    """Return whether a chunk may share a block with the one before it: both of whole images, or of one image."""
    return before.rows == span.rows == h or before.first_image == span.first_image


def _block(spans: list[Span]) -> Block:
    first, last = spans[0], spans[-1]
    images = range(first.first_image, last.first_image + last.images)
    return Block(images, range(first.first_row, last.first_row + last.rows), tuple(spans))


def _rows_per_chunk(geometry: Geometry, h: int, w: int) -> int:
    """Return how many rows fit in a chunk, a multiple of the hyper stride and at least one such unit."""
    unit, per_row = geometry.hyper_stride, geometry.latent_channels * w
    if min(unit, h) * per_row > MAX_CHUNK_SYMBOLS:
        raise LimitError(
            f"{w} latent columns of {geometry.latent_channels} symbols are too wide: {unit} rows must fit in "
            f"{MAX_CHUNK_SYMBOLS} symbols; cut the image into narrower ones"
        )
    return max(CHUNK_SYMBOLS // per_row // unit, 1) * unit
