"""Latents to the chunks of a stream and back; the prior, the coder and the symbol hash meet here.

Both sides go block by block, so that neither latents nor symbols of a whole large image need exist at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from ..bundle.bundle import Bundle
from ..entropy.chunk import Decoding, Rows, drive, finish_together, hash_symbols, pop_rows
from ..errors import StreamError
from ..profiling import stage, staged
from ..stream.container import Stream
from ..stream.layout import Block, Span
from .prior import Prior, SymbolReader, SymbolWriter, restore_latent
from .workers import Workers

Result = TypeVar("Result")


ABREAST = 4
"""Chunks that are decoded at once, row by row: the entropy decoder takes half the time then. Three more take 15 MB."""


@staged("quantise")
def write_chunks(
    latents: Iterable[tuple[Block, Floats]], quality: int, bundle: Bundle, prior: Prior, workers: int
) -> tuple[tuple[bytes, ...], int]:
    """Codes latents.

    Args:
        latents: all blocks of a stream in order, each with its latents, float32 [images, c, rows, w], finite.
        quality: 1..100.
        bundle: tables and geometry.
        prior: model of the symbols, with its compressing side.
        workers: threads that walk over chunks of a block at once.

    Returns:
        Payload of each chunk, and the symbol hash.
    """
    chunks: list[bytes] = []
    symbol_hash = 0

    def written(values: Floats, block: Block, span: Span) -> SymbolWriter:
        side = SymbolWriter(bundle.tables)
        side.answer(prior.walk(quality, span, values.shape[3], values[place_in(block, span)]))
        return side

    with Workers(workers) as team:
        for block, values in latents:
            encoders = []
            for side in team.map(partial(written, values, block), block.spans):
                encoders.append(side.encoder)
                with stage("entropy_encode"):
                    for _, symbols in side.passes:
                        symbol_hash = hash_symbols(symbols, symbol_hash)
            del values  # or they would be there while those of the next block are made
            with stage("entropy_encode"):
                chunks += finish_together(encoders)
    return tuple(chunks), symbol_hash


class ChunkReader:
    """Decodes the chunks of a stream, in order; their number was checked.

    Args:
        stream: the stream.
        bundle: tables and geometry.
        plan: blocks of the stream.
        prior: model of the symbols.
        workers: threads that walk over chunks of a block at once.

    Attributes:
        plan: the blocks.
    """

    def __init__(self, stream: Stream, bundle: Bundle, plan: Sequence[Block], prior: Prior, workers: int) -> None:
        self.plan = plan
        self._width = bundle.geometry.latent_size(stream.height, stream.width)[1]
        self._spans = [span for block in plan for span in block.spans]
        self._stream, self._tables, self._prior, self._workers = stream, bundle.tables, prior, workers
        self._read = self._hash = 0

    @staged("dequantise")
    def read_block(self, block: Block, latents: Floats) -> None:
        """Fills in the latents, float32 [images, c, rows, w], of the next block.

        Raises:
            StreamError: a chunk breaks a rule of the format, or this is the last one and the symbols of all do not
                match their hash.
        """
        expected = tuple(self._spans[self._read : self._read + len(block.spans)])
        if expected != block.spans:
            raise ValueError(f"blocks out of order: found {block.spans}, expected {expected}")
        for _ in self._read_chunks(len(block.spans), lambda span: latents[place_in(block, span)]):
            pass

    def read_symbols(self) -> NDArray[np.int16]:
        """All symbols of the stream in coding order, int16 [n]; errors as `read_block`."""
        read = self._read_chunks(len(self._spans), lambda span: None)
        return np.concatenate([symbols for passes in read for symbols in passes])

    def _read_chunks(self, count: int, place: Callable[[Span], Floats | None]) -> Iterator[list[NDArray[np.int16]]]:
        """Symbols of the passes, int16 [m], of each of the next chunks; fills in latents where there is a place."""
        stop = self._read + count
        with Workers(self._workers) as team:
            while self._read < stop:
                groups = -(-(stop - self._read) // ABREAST)
                numbers = range(self._read, self._read + -(-(stop - self._read) // groups))
                for passes in _in_step([self._decoding(number, place) for number in numbers], team):
                    for symbols in passes:
                        self._hash = hash_symbols(symbols, self._hash)
                    yield passes
                self._read = numbers.stop
        if self._read == len(self._spans) and self._hash != self._stream.symbol_hash:
            raise StreamError(
                "stream: the decoded symbols do not match their hash; the stream is damaged, get it again"
            )

    def _decoding(self, number: int, place: Callable[[Span], Floats | None]) -> Decoding[list[NDArray[np.int16]]]:
        """Decodes a chunk: symbols of its passes, int16 [m]; fills in its latents if there is a place for them."""
        stream, span = self._stream, self._spans[number]
        side = SymbolReader(stream.chunks[number], self._tables.bank)
        coded = yield from side.answer(self._prior.walk(stream.quality, span, self._width, None))
        latents = place(span)
        if latents is not None:
            restore_latent(self._tables, stream.quality, coded, latents)
        return side.passes


def _in_step(works: Sequence[Decoding[Result]], team: Workers) -> list[Result]:
    """Does such work for several chunks at once: what each asks for is popped together."""
    if len(works) == 1:
        return [drive(works[0], lambda rows: _popped([rows])[0])]
    results: dict[int, Result] = {}
    given: list[tuple[int, NDArray[np.int16] | None]] = [(number, None) for number in range(len(works))]

    def advance(turn: tuple[int, NDArray[np.int16] | None]) -> Rows | None:
        number, symbols = turn
        try:
            return next(works[number]) if symbols is None else works[number].send(symbols)
        except StopIteration as stop:
            results[number] = stop.value
            return None

    while given:
        answers = zip(given, team.map(advance, given), strict=True)
        asked = {number: rows for (number, _), rows in answers if rows is not None}
        given = list(zip(asked, _popped(list(asked.values())), strict=True)) if asked else []
    return [results[number] for number in range(len(works))]


@staged("entropy_decode")
def _popped(rows: Sequence[Rows]) -> list[NDArray[np.int16]]:
    return pop_rows(rows)


def place_in(block: Block, span: Span) -> tuple[slice, slice, slice]:
    """Where the latents of a chunk lie in those of its block."""
    image, row = span.first_image - block.images.start, span.first_row - block.rows.start
    return slice(image, image + span.images), slice(None), slice(row, row + span.rows)
