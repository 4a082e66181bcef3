"""The protocol of a prior's passes, and its two sides: a writer that compresses and a reader that decompresses.

A prior is a generator that visits the passes of a chunk in coding order and requests the symbols of each. The writer
answers by rounding the values it is given, the reader by decoding the payload. Everything a later pass depends on is
computed from the symbols of the answers, so both sides see the same tables. docs/internals/coding.md explains it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, Symbols, all_finite
from ..bundle.quantizer import dequantize
from ..bundle.tables import EntropyTables
from ..entropy.bank import FrequencyBank
from ..entropy.chunk import ChunkDecoder, ChunkEncoder, Decoding, Pass, run_passes
from ..errors import BundleError
from ..limits import MAX_SYMBOL
from ..profiling import stage
from ..stream.layout import Span
from .checkerboard import Squares


@dataclass(frozen=True)
class SymbolRequest:
    """A prior's request for the symbols of one pass, int16 [n].

    Attributes:
        tables: uint8 [n], table of each element.
        wanted: float32 [n], values to round when compressing; None when decompressing.
        last: whether it is the last pass of the chunk.
    """

    tables: NDArray[np.uint8]
    wanted: Floats | None
    last: bool


Result = TypeVar("Result")

Passes = Generator[SymbolRequest, Symbols, Result]
"""Passes of a chunk, or some of them."""

Walk = Passes["list[DecodedPass]"]
"""All passes of a chunk; the result is for `decode_passes`."""


class SymbolWriter:
    """The compressing side: rounds values to symbols and codes the passes of one chunk.

    Attributes:
        passes: tables and symbols so far, in coding order.
        encoder: holds them for coding.
    """

    def __init__(self, tables: EntropyTables) -> None:
        self._bank, self._dead_zone = tables.bank, tables.dead_zone
        self.encoder = ChunkEncoder(tables.bank)
        self.passes: list[Pass] = []

    def code(self, request: SymbolRequest) -> Symbols:
        """Return the symbols of one pass: rounded half to even, clipped, and 0 where certain or in the dead zone."""
        tables = request.tables
        if request.wanted is None:
            raise ValueError("SymbolWriter needs values")
        coded = self._bank.coded(tables)
        own, rounded = tables.take(coded), request.wanted.take(coded)
        if self._dead_zone is not None:
            rounded *= np.abs(rounded) >= self._dead_zone.take(own)
        np.clip(np.rint(rounded, out=rounded), -MAX_SYMBOL, MAX_SYMBOL, out=rounded)
        found = rounded.astype(np.int16)
        with stage("entropy_encode"):
            self.encoder.add(own, found)
        symbols = np.zeros(len(tables), np.int16)
        symbols[coded] = found
        self.passes.append((tables, symbols))
        return symbols

    def run(self, walk: Walk) -> list[DecodedPass]:
        """Code all passes of a chunk."""
        return run_passes(walk, self.code)

    def payload(self) -> bytes:
        """Return the chunk, after its last pass."""
        return self.encoder.finish()


class SymbolReader:
    """The decompressing side: reads the passes of one chunk.

    Attributes:
        passes: symbols so far, in coding order.
    """

    def __init__(self, payload: bytes, bank: FrequencyBank) -> None:
        self._decoder = ChunkDecoder(payload, bank)
        self.passes: list[Symbols] = []

    def run(self, walk: Walk) -> Decoding[list[DecodedPass]]:
        """Decode all passes of a chunk, yielding the coder steps that it needs.

        Raises:
            StreamError: the payload breaks a rule of the format.
        """
        try:
            request = next(walk)
            while True:
                symbols = yield from self._decoder.decoding(request.tables, request.last)
                if request.last:
                    self._decoder.finish()
                self.passes.append(symbols)
                request = walk.send(symbols)
        except StopIteration as stop:
            decoded: list[DecodedPass] = stop.value
            return decoded


@dataclass(frozen=True)
class DecodedPass:
    """The symbols of one pass at some positions of a chunk.

    Attributes:
        channels: which channels.
        squares: which positions.
        symbols: int16, `[n, channels, ...]` in coding order.
        means: the means they are residuals to, in steps, float32 of the same shape; None for zeros.
    """

    channels: slice
    squares: Squares
    symbols: Symbols
    means: Floats | None

    def put(self, symbols: Floats, latent: Floats) -> None:
        """Fill in the symbols, and symbol + mean, at these channels and positions, float32 [n, c, rows, w] each."""
        values = self.symbols.reshape(*self.symbols.shape[:2], -1).astype(np.float32)
        self.squares.put(symbols[:, self.channels], values)
        if self.means is not None:
            values += self.means.reshape(values.shape)
        self.squares.put(latent[:, self.channels], values)


class Prior(Protocol):
    """A model of symbols."""

    def walk(self, quality: int, span: Span, width: int, latent: Floats | None) -> Walk:
        """Visit the passes of a chunk.

        Args:
            quality: 1..100.
            span: the chunk.
            width: latent columns.
            latent: float32 [n, c, rows, w] of the chunk when compressing, else None.
        """

    def walk_first_group(self, quality: int, span: Span, width: int) -> Walk:
        """Visit the passes of a chunk up to the last of the first group of channels, when decompressing."""


def decode_passes(tables: EntropyTables, quality: int, passes: Sequence[DecodedPass], latent: Floats) -> None:
    """Fill in the latent for the decoder.

    Args:
        tables: tables and steps.
        quality: 1..100.
        passes: as `Prior.walk` returns them; together they cover the chunk.
        latent: float32 [n, c, rows, w] of the chunk.
    """
    shrink, steps, offsets = tables.shrink[quality - 1], tables.steps[quality - 1], tables.offsets
    for found in passes:
        part = found.channels
        values = found.symbols.reshape(*found.symbols.shape[:2], -1).astype(np.float32)
        means = None if found.means is None else found.means.reshape(values.shape)
        dequantize(values, steps[part, None], offsets[part, None], shrink[part, None], means)
        found.squares.put(latent[:, part], values)


class Graph(Protocol):
    """A session, or anything that runs like one."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs of the graph."""


def check_output(name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Refuse an output of a graph that is not of a shape and type, or not finite.

    Raises:
        BundleError: the message names the graph.
    """
    if values.shape != shape or values.dtype != dtype:
        raise BundleError(
            f"{name} returned {values.dtype} {values.shape}, expected {np.dtype(dtype)} {shape}; export again"
        )
    # NaN rounds to a symbol that depends on the processor.
    if dtype is not np.uint8 and not all_finite(values):
        raise BundleError(f"{name} returned NaN or infinity; export the bundle again")
