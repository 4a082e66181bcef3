"""Latents to the chunks of a stream and back; the prior, the coder and the symbol hash meet here.

Both sides go block by block, so that neither latents nor symbols of a whole large image need exist at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .chunk import hash_symbols
from .container import Stream
from .errors import StreamError
from .layout import Block, Span, chunk_spans
from .prior import Prior, SymbolReader, SymbolWriter, restore_latent
from .stages import stage, staged

Floats = NDArray[np.float32]


@staged("quantise")
def write_chunks(
    latents: Iterable[tuple[Block, Floats]], quality: int, bundle: Bundle, prior: Prior
) -> tuple[tuple[bytes, ...], int]:
    """Codes latents.

    Args:
        latents: all blocks of a stream in order, each with its latents, float32 [images, c, rows, w], finite.
        quality: 1..100.
        bundle: tables and geometry.
        prior: model of the symbols, with its compressing side.

    Returns:
        Payload of each chunk, and the symbol hash.
    """
    chunks, symbol_hash = [], 0
    for block, values in latents:
        for span in block.spans:
            side = SymbolWriter(bundle.tables)
            prior.walk(quality, span, values.shape[3], values[place_in(block, span)], side)
            chunks.append(side.payload())
            with stage("entropy_encode"):
                for _, symbols in side.passes:
                    symbol_hash = hash_symbols(symbols, symbol_hash)
        del values  # or they would be there while those of the next block are made
    return tuple(chunks), symbol_hash


class ChunkReader:
    """Decodes the chunks of a stream, in order; their number was checked.

    Args:
        stream: the stream.
        bundle: tables and geometry.
        prior: model of the symbols.
    """

    def __init__(self, stream: Stream, bundle: Bundle, prior: Prior) -> None:
        h, self._width = bundle.geometry.latent_size(stream.height, stream.width)
        self._spans = chunk_spans(bundle.geometry, stream.count, h, self._width)
        self._stream, self._tables, self._prior = stream, bundle.tables, prior
        self._read = self._hash = 0

    @staged("dequantise")
    def read_block(self, block: Block, latents: Floats) -> None:
        """Fills in the latents, float32 [images, c, rows, w], of the next block.

        Raises:
            StreamError: a chunk breaks a rule of the format, or this is the last one and the symbols of all do not
                match their hash.
        """
        for expected in block.spans:
            span = self._spans[self._read]
            if span != expected:
                raise ValueError(f"blocks out of order: found {span}, expected {expected}")
            self._read_chunk(latents[place_in(block, span)])

    def read_symbols(self) -> NDArray[np.int16]:
        """All symbols of the stream in coding order, int16 [n]; errors as `read_block`."""
        return np.concatenate([symbols for _ in self._spans for symbols in self._read_chunk(None)])

    def _read_chunk(self, latents: Floats | None) -> list[NDArray[np.int16]]:
        """Symbols of the passes of the next chunk, int16 [m]; fills in its latents if there is a place for them."""
        stream, span = self._stream, self._spans[self._read]
        side = SymbolReader(stream.chunks[self._read], self._tables.bank)
        passes = self._prior.walk(stream.quality, span, self._width, None, side)
        if latents is not None:
            restore_latent(self._tables, stream.quality, passes, latents)
        for symbols in side.passes:
            self._hash = hash_symbols(symbols, self._hash)
        self._read += 1
        if self._read == len(self._spans) and self._hash != stream.symbol_hash:
            raise StreamError(
                "stream: the decoded symbols do not match their hash; the stream is damaged, get it again"
            )
        return side.passes


def place_in(block: Block, span: Span) -> tuple[slice, slice, slice]:
    """Where the latents of a chunk lie in those of its block."""
    image, row = span.first_image - block.images.start, span.first_row - block.rows.start
    return slice(image, image + span.images), slice(None), slice(row, row + span.rows)
