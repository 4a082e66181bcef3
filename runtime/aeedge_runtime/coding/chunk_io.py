"""Latents to the chunks of a stream and back: the prior, the entropy coder and the symbol hash at work together.

Both directions proceed block by block, so that latents and symbols of a whole large image never exist at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from ..arrays import Floats, Symbols
from ..bundle.bundle import Bundle
from ..entropy.chunk import Decoding, PopRequest, finish_together, hash_symbols, pop_symbols, run_passes
from ..errors import StreamError
from ..prior.passes import Prior, SymbolReader, SymbolWriter, Walk, decode_passes
from ..profiling import advance, expect, stage, staged
from ..stream.container import Stream
from ..stream.layout import Block, Span
from .workers import Workers

Result = TypeVar("Result")


CHUNKS_AT_ONCE = 4
"""Chunks decoded together, step by step, which halves the time of the entropy decoder. Three more take 15 MB."""


@staged("quantise")
def write_chunks(
    latents: Iterable[tuple[Block, Floats]], quality: int, bundle: Bundle, prior: Prior, workers: int
) -> tuple[tuple[bytes, ...], int]:
    """Code latents.

    Args:
        latents: all blocks of a stream in order, each with its latents, float32 [images, c, rows, w], finite.
        quality: 1..100.
        bundle: tables and geometry.
        prior: model of the symbols, with its compressing side.
        workers: threads, each of which works on one chunk of a block.

    Returns:
        Payload of each chunk, and the symbol hash.
    """
    chunks: list[bytes] = []
    symbol_hash = 0

    def written(values: Floats, block: Block, span: Span) -> SymbolWriter:
        side = SymbolWriter(bundle.tables)
        side.run(prior.walk(quality, span, values.shape[3], values[block_slices(block, span)]))
        return side

    with Workers(workers) as team:
        for block, values in latents:
            advance(len(block.spans))
            encoders = []
            for side in team.map(partial(written, values, block), block.spans):
                encoders.append(side.encoder)
                with stage("entropy_encode"):
                    for _, symbols in side.passes:
                        symbol_hash = hash_symbols(symbols, symbol_hash)
                advance(1)
            del values  # frees them before those of the next block are made
            with stage("entropy_encode"):
                chunks += finish_together(encoders)
    return tuple(chunks), symbol_hash


class ChunkReader:
    """Decodes chunks of a stream, in order; their number was checked.

    Args:
        stream: the stream.
        bundle: tables and geometry.
        plan: blocks of the stream, or a run of them.
        prior: model of the symbols.
        workers: threads, each of which works on one chunk of a block.
        first_chunk: number of the first chunk of `plan`.

    Attributes:
        plan: the blocks.
        latent_size: rows and columns of the latents of each image.
    """

    def __init__(
        self,
        stream: Stream,
        bundle: Bundle,
        plan: Sequence[Block],
        prior: Prior,
        workers: int,
        first_chunk: int = 0,
    ) -> None:
        self.plan = plan
        self.latent_size = bundle.geometry.latent_size(stream.height, stream.width)
        self._spans = [span for block in plan for span in block.spans]
        self._stream, self._tables, self._prior, self._workers = stream, bundle.tables, prior, workers
        self._first_chunk = first_chunk
        self._read = self._hash = 0

    @staged("dequantise")
    def read_block(self, block: Block, latents: Floats) -> None:
        """Fill in the latents, float32 [images, c, rows, w], of the next block.

        Raises:
            StreamError: a chunk breaks a rule of the format, or this is the last one of a whole stream and the symbols
                of all do not match their hash.
        """
        expected = tuple(self._spans[self._read : self._read + len(block.spans)])
        if expected != block.spans:
            raise ValueError(f"blocks out of order: found {block.spans}, expected {expected}")
        for _ in self._read_chunks(len(block.spans), lambda span: latents[block_slices(block, span)]):
            pass

    @staged("dequantise")
    def read_first_group(self, latents: Floats) -> None:
        """Fill in the first group of channels, float32 [images, c, h, w], of all chunks, and decode nothing else.

        Raises:
            StreamError: what is decoded breaks a rule of the format; the symbol hash, which covers all, is not checked.
        """
        whole = Block(range(latents.shape[0]), range(latents.shape[2]), tuple(self._spans))
        spans = list(enumerate(self._spans))
        with Workers(self._workers) as team:
            for first in range(0, len(spans), CHUNKS_AT_ONCE):
                works = [
                    self._decoding(
                        number,
                        self._prior.walk_first_group(self._stream.quality, span, self.latent_size[1]),
                        latents[block_slices(whole, span)],
                    )
                    for number, span in spans[first : first + CHUNKS_AT_ONCE]
                ]
                _in_step(works, team)

    def read_symbols(self) -> Symbols:
        """Return all symbols of the stream in coding order, int16 [n]; errors as for `read_block`."""
        expect(len(self._spans))
        read = self._read_chunks(len(self._spans), lambda span: None)
        return np.concatenate([symbols for passes in read for symbols in passes])

    def _read_chunks(self, count: int, latents_of: Callable[[Span], Floats | None]) -> Iterator[list[Symbols]]:
        """Yield the symbols of each pass, int16 [m], of the next chunks; fill in the latents of `latents_of`."""
        stop = self._read + count
        with Workers(self._workers) as team:
            while self._read < stop:
                groups = -(-(stop - self._read) // CHUNKS_AT_ONCE)
                numbers = range(self._read, self._read + -(-(stop - self._read) // groups))
                for passes in _in_step([self._decoding_all(number, latents_of) for number in numbers], team):
                    for symbols in passes:
                        self._hash = hash_symbols(symbols, self._hash)
                    advance(1)
                    yield passes
                self._read = numbers.stop
        if self._read == len(self._stream.chunks) and self._hash != self._stream.symbol_hash:
            raise StreamError(
                "stream: the decoded symbols do not match their hash; the stream is damaged, get it again"
            )

    def _decoding_all(self, number: int, latents_of: Callable[[Span], Floats | None]) -> Decoding[list[Symbols]]:
        span = self._spans[number]
        walk = self._prior.walk(self._stream.quality, span, self.latent_size[1], None)
        return self._decoding(number, walk, latents_of(span))

    def _decoding(self, number: int, walk: Walk, latents: Floats | None) -> Decoding[list[Symbols]]:
        """Return the symbols of each pass of a chunk, int16 [m]; fill in its latents, if they are given."""
        side = SymbolReader(self._stream.chunks[self._first_chunk + number], self._tables.bank)
        coded = yield from side.run(walk)
        if latents is not None:
            decode_passes(self._tables, self._stream.quality, coded, latents)
        return side.passes


def _in_step(works: Sequence[Decoding[Result]], team: Workers) -> list[Result]:
    """Decode several chunks in step, answering their requests together."""
    if len(works) == 1:
        return [run_passes(works[0], lambda request: _pop([request])[0])]
    results: dict[int, Result] = {}
    given: list[tuple[int, Symbols | None]] = [(number, None) for number in range(len(works))]

    def advance(turn: tuple[int, Symbols | None]) -> PopRequest | None:
        number, symbols = turn
        try:
            return next(works[number]) if symbols is None else works[number].send(symbols)
        except StopIteration as stop:
            results[number] = stop.value
            return None

    while given:
        answers = zip(given, team.map(advance, given), strict=True)
        requests = {number: request for (number, _), request in answers if request is not None}
        given = list(zip(requests, _pop(list(requests.values())), strict=True)) if requests else []
    return [results[number] for number in range(len(works))]


@staged("entropy_decode")
def _pop(requests: Sequence[PopRequest]) -> list[Symbols]:
    return pop_symbols(requests)


def block_slices(block: Block, span: Span) -> tuple[slice, slice, slice]:
    """Return where the latents of a chunk are in those of its block."""
    image, row = span.first_image - block.images.start, span.first_row - block.rows.start
    return slice(image, image + span.images), slice(None), slice(row, row + span.rows)
