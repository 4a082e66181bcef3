"""Which table and which mean each latent element has: one walk over a chunk, the same for compress and decompress.

A walk visits the passes of a chunk in coding order and hands each pass to an exchange: the writer's turns wanted
values into symbols and keeps them, the reader's takes symbols out of the payload. Everything a later pass depends on
is computed from the symbols that came back, so both sides see the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .bank import FrequencyBank
from .chunk import ChunkDecoder, Pass
from .errors import BundleError
from .layout import Span
from .limits import MAX_SYMBOL
from .manifest import PriorFacts
from .stages import stage, staged
from .tables import SCALES, EntropyTables

MAX_HYPER_SYMBOL = 127
"""Magnitude of a hyper symbol: keeps every sum of the exact prior below 2^24."""

Floats = NDArray[np.float32]


class Exchange(Protocol):
    """One side of the coder."""

    def exchange(self, tables: NDArray[np.uint8], wanted: Floats | None, last: bool) -> NDArray[np.int16]:
        """Symbols of one pass, int16 [n].

        Args:
            tables: uint8 [n], table of each element.
            wanted: float32 [n], values to round, where the caller compresses.
            last: whether it is the last pass of the chunk.
        """


class SymbolWriter:
    """The compressing side: rounds and keeps the passes of one chunk.

    Attributes:
        passes: tables and symbols so far, as `encode_chunk` takes them.
    """

    def __init__(self, bank: FrequencyBank) -> None:
        self._certain = bank.certain
        self.passes: list[Pass] = []

    def exchange(self, tables: NDArray[np.uint8], wanted: Floats | None, last: bool) -> NDArray[np.int16]:
        """Rounds half to even, clips, and forces certain symbols to 0; see Exchange."""
        if wanted is None:
            raise ValueError("SymbolWriter needs values")
        rounded = np.rint(wanted)
        symbols = np.clip(rounded, -MAX_SYMBOL, MAX_SYMBOL, out=rounded).astype(np.int16)
        if self._certain.any():
            symbols[self._certain.take(tables)] = 0
        self.passes.append((tables, symbols))
        return symbols


class SymbolReader:
    """The decompressing side: reads the passes of one chunk.

    Attributes:
        passes: symbols so far, in coding order.
    """

    def __init__(self, payload: bytes, bank: FrequencyBank) -> None:
        self._decoder = ChunkDecoder(payload, bank)
        self.passes: list[NDArray[np.int16]] = []

    @staged("entropy_decode")
    def exchange(self, tables: NDArray[np.uint8], wanted: Floats | None, last: bool) -> NDArray[np.int16]:
        """Decodes; see Exchange."""
        symbols = self._decoder.decode(tables, last)
        if last:
            self._decoder.finish()
        self.passes.append(symbols)
        return symbols


class Prior(Protocol):
    """A model of symbols."""

    def walk(
        self, quality: int, span: Span, width: int, latent: Floats | None, side: Exchange
    ) -> tuple[NDArray[Any], Floats]:
        """Visits the passes of a chunk.

        Args:
            quality: 1..100.
            span: the chunk.
            width: latent columns.
            latent: float32 [n, c, rows, w] of the chunk where the caller compresses, else None.
            side: writer or reader.

        Returns:
            Symbols, [n, c, rows, w], and the means they are residuals to, float32 in steps, for `restore_latent`.
        """


def restore_latent(tables: EntropyTables, quality: int, symbols: NDArray[Any], means: Floats) -> Floats:
    """Latent for the decoder, float32 [n, c, rows, w]: offset + (symbol - shrink * sign(symbol) + mean) * step.

    The shrink is there because the mean of what rounds to a symbol lies a little nearer to zero than the symbol.
    """
    values = symbols.astype(np.float32)
    shrink = tables.shrink[quality - 1]
    if shrink.any():
        values -= _by_channel(shrink) * np.sign(values)
    values += means
    values *= _by_channel(tables.steps[quality - 1])
    values += _by_channel(tables.offsets)
    return values


class FactorizedPrior:
    """One table per channel and quality; one pass."""

    def __init__(self, tables: EntropyTables) -> None:
        if tables.table_index is None:
            raise BundleError("entropy.npz: no table_index for a factorized prior; export the bundle again")
        self._tables = tables
        self._index = tables.table_index

    def walk(
        self, quality: int, span: Span, width: int, latent: Floats | None, side: Exchange
    ) -> tuple[NDArray[Any], Floats]:
        """See Prior."""
        shape = (span.images, self._index.shape[1], span.rows, width)
        index = np.ascontiguousarray(np.broadcast_to(_by_channel(self._index[quality - 1]), shape))
        wanted = None
        if latent is not None:
            wanted = latent - _by_channel(self._tables.offsets)
            wanted /= _by_channel(self._tables.steps[quality - 1])
            wanted = wanted.ravel()
        symbols = side.exchange(index.ravel(), wanted, last=True)
        return symbols.reshape(shape), np.zeros((1, 1, 1, 1), np.float32)


class Graph(Protocol):
    """A session, or anything that runs like one."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs of the graph."""


class HyperPrior:
    """Tables and means per element, from hyper symbols and, in a second pass, from neighbours already known.

    Args:
        tables: tables and steps.
        facts: the manifest's prior section.
        prior: the exact graph, on the CPU.
        hyper_encoder: graph from latents in steps to hyper-latents; None on a device that only decompresses.
    """

    def __init__(self, tables: EntropyTables, facts: PriorFacts, prior: Graph, hyper_encoder: Graph | None) -> None:
        if tables.hyper_table_index is None or tables.scale_tables is None:
            raise BundleError("entropy.npz: no tables for a hyperprior; export the bundle again")
        self._tables = tables
        self._facts = facts
        self._prior = prior
        self._hyper_encoder = hyper_encoder
        self._hyper_index = tables.hyper_table_index
        self._scale_tables = tables.scale_tables

    def walk(
        self, quality: int, span: Span, width: int, latent: Floats | None, side: Exchange
    ) -> tuple[NDArray[Any], Floats]:
        """See Prior."""
        target = None if latent is None else latent / _by_channel(self._tables.steps[quality - 1])
        hyper = self._exchange_hyper(quality, span, width, target, side)
        shape = (span.images, self._tables.steps.shape[1], span.rows, width)
        symbols, means = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        known = np.zeros((span.images, 1, span.rows, width), np.float32)
        for number, squares in enumerate(_passes(self._facts.passes, span)):
            self._exchange_pass(squares, hyper, (symbols, means, known), target, side, number + 1 == self._facts.passes)
        return symbols, means

    def _exchange_hyper(
        self, quality: int, span: Span, width: int, target: Floats | None, side: Exchange
    ) -> NDArray[np.float32]:
        stride, channels = self._facts.stride, self._facts.channels
        shape = (span.images, channels, -(-span.rows // stride), -(-width // stride))
        index = np.ascontiguousarray(np.broadcast_to(_by_channel(self._hyper_index[quality - 1]), shape))
        wanted = None
        if target is not None:
            if self._hyper_encoder is None:
                raise BundleError("hyper_encoder.onnx is needed to compress")
            with stage("hyper_encoder_graph"):
                wanted = self._hyper_encoder.run({"latent_steps": target})[0]
            _check_output("hyper_encoder.onnx", wanted, shape, np.float32)
            wanted = np.clip(wanted, -MAX_HYPER_SYMBOL, MAX_HYPER_SYMBOL).ravel()
        return side.exchange(index.ravel(), wanted, last=False).astype(np.float32).reshape(shape)

    def _exchange_pass(
        self,
        squares: _Squares,
        hyper: Floats,
        state: tuple[Floats, Floats, Floats],
        target: Floats | None,
        side: Exchange,
        last: bool,
    ) -> None:
        """Codes the elements on some squares, given all that is known; fills `state`."""
        symbols, means, known = state
        feeds = {
            "hyper_symbols": hyper,
            "context_symbols": symbols,
            "context_latent": symbols + means if known.any() else means,
            "known": known,
        }
        with stage("prior_graph"):
            index, mean = self._prior.run(feeds)
        _check_output("prior.onnx", index, symbols.shape, np.uint8)
        _check_output("prior.onnx", mean, symbols.shape, np.float32)
        chosen = squares.take(index)
        if chosen.size and chosen.max() >= SCALES:
            raise BundleError(f"prior.onnx gave table index {chosen.max()}, expected at most {SCALES - 1}")
        centre = squares.take(mean)
        wanted = None if target is None else (squares.take(target) - centre).ravel()
        found = side.exchange(self._scale_tables.take(chosen).ravel(), wanted, last)
        squares.put(symbols, found)
        squares.put(means, centre)
        squares.put(known, np.ones_like(squares.take(known)))


class _Squares:
    """Every second square of a chunk's planes, like one colour of a checkerboard, or all of them.

    Args:
        parity: of row + column, the row counted from the chunk's first; None for all squares.
    """

    def __init__(self, parity: int | None) -> None:
        self._parity = parity

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """Copy the squares of `[n, c, rows, w]`, in C order, as `[n * c, squares]`."""
        count, channels, rows, width = values.shape
        if self._parity is None or width % 2:  # of an odd width, every second square of a row follows on to the next
            return np.ascontiguousarray(self._flat(values))
        found = np.empty((count, channels, rows, width // 2), values.dtype)
        for row in range(2):
            found[:, :, row::2] = self._of_rows(values, row)
        return found.reshape(count * channels, -1)

    def put(self, values: NDArray[Any], found: NDArray[Any]) -> None:
        """Fill the squares of contiguous `values` with what `take` would give."""
        count, channels, rows, width = values.shape
        if self._parity is None or width % 2:
            self._flat(values)[:] = found.reshape(count * channels, -1)
            return
        parts = found.reshape(count, channels, rows, width // 2)
        for row in range(2):
            self._of_rows(values, row)[:] = parts[:, :, row::2]

    def _flat(self, values: NDArray[Any]) -> NDArray[Any]:
        planes = values.reshape(-1, values.shape[2] * values.shape[3])
        return planes if self._parity is None else planes[:, self._parity :: 2]

    def _of_rows(self, values: NDArray[Any], row: int) -> NDArray[Any]:
        """View of the squares in every second row from `row`."""
        return values[:, :, row::2, (row + (self._parity or 0)) % 2 :: 2]


def _passes(count: int, span: Span) -> list[_Squares]:
    """The squares of each pass: all, or those where row + column is even in the image and then the odd ones."""
    return [_Squares((parity + span.first_row) % 2) for parity in range(2)] if count == 2 else [_Squares(None)]


def _by_channel(row: NDArray[Any]) -> NDArray[Any]:
    """A view [1, c, 1, 1] of [c]."""
    return row.reshape(1, -1, 1, 1)


def _check_output(name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if values.shape != shape or values.dtype != dtype:
        raise BundleError(
            f"{name} gave {values.dtype} {values.shape}, expected {np.dtype(dtype)} {shape}; export the bundle again"
        )
    if not np.isfinite(values).all():  # a NaN would become some symbol, and which one is the processor's choice
        raise BundleError(f"{name} gave NaN or infinity; export the bundle again")
