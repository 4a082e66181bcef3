"""Which table and which mean each latent element has: one walk over a chunk, the same for compress and decompress.

A walk visits the passes of a chunk in coding order and asks for the symbols of each: a writer turns wanted values into
symbols and keeps them, a reader takes symbols out of the payload. Everything a later pass depends on is computed from
the symbols that came back, so both sides see the same tables.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats, all_finite
from ..bundle.manifest import PriorFacts
from ..bundle.tables import SCALES, EntropyTables
from ..entropy.bank import FrequencyBank
from ..entropy.chunk import ChunkDecoder, ChunkEncoder, Decoding, Pass, drive
from ..errors import BundleError
from ..limits import MAX_SYMBOL
from ..profiling import stage
from ..stream.layout import Span

MAX_HYPER_SYMBOL = 127
"""Magnitude of a hyper symbol: keeps every sum of the exact prior below 2^24."""


@dataclass(frozen=True)
class Asked:
    """What a walk needs to go on: the symbols of a pass, int16 [n].

    Attributes:
        tables: uint8 [n], table of each element.
        wanted: float32 [n], values to round, where the caller compresses.
        last: whether it is the last pass of the chunk.
    """

    tables: NDArray[np.uint8]
    wanted: Floats | None
    last: bool


Result = TypeVar("Result")

WalkPart = Generator[Asked, NDArray[np.int16], Result]
"""A part of a walk."""

Walk = WalkPart["list[Coded]"]
"""A visit to the passes of a chunk; what it gives in the end is for `restore_latent`."""


class SymbolWriter:
    """The compressing side: turns values into symbols and codes the passes of one chunk.

    Attributes:
        passes: tables and symbols so far, in coding order.
        encoder: holds them to be coded.
    """

    def __init__(self, tables: EntropyTables) -> None:
        self._bank, self._dead_zone = tables.bank, tables.dead_zone
        self.encoder = ChunkEncoder(tables.bank)
        self.passes: list[Pass] = []

    def exchange(self, asked: Asked) -> NDArray[np.int16]:
        """Symbols of one pass: rounds half to even, clips, and makes 0 of what is certain or in the dead zone."""
        tables = asked.tables
        if asked.wanted is None:
            raise ValueError("SymbolWriter needs values")
        coded = self._bank.coded(tables)
        own, rounded = tables.take(coded), asked.wanted.take(coded)
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

    def answer(self, walk: Walk) -> list[Coded]:
        """Answers a walk to its end."""
        return drive(walk, self.exchange)

    def payload(self) -> bytes:
        """The chunk, after its last pass."""
        return self.encoder.finish()


class SymbolReader:
    """The decompressing side: reads the passes of one chunk.

    Attributes:
        passes: symbols so far, in coding order.
    """

    def __init__(self, payload: bytes, bank: FrequencyBank) -> None:
        self._decoder = ChunkDecoder(payload, bank)
        self.passes: list[NDArray[np.int16]] = []

    def answer(self, walk: Walk) -> Decoding[list[Coded]]:
        """Answers a walk to its end, by way of the rows that it asks for.

        Raises:
            StreamError: the payload breaks a rule of the format.
        """
        try:
            asked = next(walk)
            while True:
                symbols = yield from self._decoder.decoding(asked.tables, asked.last)
                if asked.last:
                    self._decoder.finish()
                self.passes.append(symbols)
                asked = walk.send(symbols)
        except StopIteration as stop:
            coded: list[Coded] = stop.value
            return coded


@dataclass(frozen=True)
class Coded:
    """What a walk found at some positions of a chunk.

    Attributes:
        channels: which channels.
        squares: which positions.
        symbols: int16, `[n, channels, ...]` in coding order.
        means: the means they are residuals to, in steps, float32 of the same shape; None for zeros.
    """

    channels: slice
    squares: Squares
    symbols: NDArray[np.int16]
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
        """Visits the passes of a chunk.

        Args:
            quality: 1..100.
            span: the chunk.
            width: latent columns.
            latent: float32 [n, c, rows, w] of the chunk where the caller compresses, else None.
        """


def restore_latent(tables: EntropyTables, quality: int, passes: Sequence[Coded], latent: Floats) -> None:
    """Fills in the latent for the decoder: offset + (symbol - shrink * sign(symbol) + mean) * step.

    The shrink is there because the mean of what rounds to a symbol lies a little nearer to zero than the symbol.

    Args:
        tables: tables and steps.
        quality: 1..100.
        passes: as `Prior.walk` returns them; together they cover the chunk.
        latent: float32 [n, c, rows, w] of the chunk.
    """
    shrink, steps, offsets = tables.shrink[quality - 1], tables.steps[quality - 1], tables.offsets
    for coded in passes:
        part = coded.channels
        values = coded.symbols.reshape(*coded.symbols.shape[:2], -1).astype(np.float32)
        if shrink[part].any():
            values -= shrink[part, None] * np.sign(values)
        if coded.means is not None:
            values += coded.means.reshape(values.shape)
        values *= steps[part, None]
        if offsets.any():
            values += offsets[part, None]
        coded.squares.put(latent[:, part], values)


class FactorizedPrior:
    """One table per channel and quality; one pass."""

    def __init__(self, tables: EntropyTables) -> None:
        if tables.table_index is None:
            raise BundleError("entropy.npz: no table_index for a factorized prior; export the bundle again")
        self._tables = tables
        self._index = tables.table_index

    def walk(self, quality: int, span: Span, width: int, latent: Floats | None) -> Walk:
        """See Prior."""
        shape = (span.images, self._index.shape[1], span.rows, width)
        index = np.ascontiguousarray(np.broadcast_to(_by_channel(self._index[quality - 1]), shape))
        wanted = None
        if latent is not None:
            wanted = latent - _by_channel(self._tables.offsets)
            wanted /= _by_channel(self._tables.steps[quality - 1])
            wanted = wanted.ravel()
        symbols = yield Asked(index.ravel(), wanted, last=True)
        return [Coded(slice(None), Squares(span.rows, width, None), symbols.reshape(shape), None)]


class Graph(Protocol):
    """A session, or anything that runs like one."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs of the graph."""


class HyperPrior:
    """Tables and means per element, from hyper symbols and from the symbols of the passes before.

    Args:
        tables: tables and steps.
        facts: the manifest's prior section.
        graphs: one a pass over the latent, named by `facts.graphs`, on the CPU: their table indices must be exact.
        hyper_encoder: graph from latents in steps to hyper-latents; None on a device that only decompresses.
    """

    def __init__(
        self, tables: EntropyTables, facts: PriorFacts, graphs: Sequence[Graph], hyper_encoder: Graph | None
    ) -> None:
        if tables.hyper_table_index is None or tables.scale_tables is None:
            raise BundleError("entropy.npz: no tables for a hyperprior; export the bundle again")
        self._tables = tables
        self._facts = facts
        self._graphs = dict(zip(facts.graphs, graphs, strict=True))
        self._hyper_encoder = hyper_encoder
        self._hyper_index = tables.hyper_table_index
        self._scale_tables = tables.scale_tables.tobytes().ljust(256, b"\0")  # translate() is twice as fast as take()

    def walk(self, quality: int, span: Span, width: int, latent: Floats | None) -> Walk:
        """See Prior."""
        target = None if latent is None else latent / _by_channel(self._tables.steps[quality - 1])
        hyper = yield from self._hyper_symbols(quality, span, width, target)
        coded, features = yield from self._first_group(hyper, span, width, target)
        later = self._facts.pass_channels()[self._facts.passes :]
        if not later:
            return coded
        whole = Squares(span.rows, width, None)
        symbols = whole.empty(span.images, later[-1].start)
        values = np.empty_like(symbols)
        for part in coded:
            part.put(symbols, values)
        for number, channels in enumerate(later, 1):
            seen = slice(channels.start)
            feeds = {**features, "known_symbols": symbols[:, seen], "known_latent": values[:, seen]}
            shape = (span.images, channels.stop - channels.start, span.rows, width)
            index, mean = self._predict(f"group_{number}", feeds, shape)
            last = number == len(later)
            coded.append((yield from self._coded(channels, whole, index, mean, target, last=last)))
            if not last:
                coded[-1].put(symbols, values)
        return coded

    def _first_group(
        self, hyper: Floats, span: Span, width: int, target: Floats | None
    ) -> WalkPart[tuple[list[Coded], dict[str, Floats]]]:
        """The first group, in one pass or in two; and the features that the first pass's graph hands on."""
        two, channels, parity = self._facts.passes == 2, self._facts.pass_channels()[0], span.first_row % 2
        last = len(self._facts.groups) == 1
        size = (span.images, channels.stop)
        squares = Squares(span.rows, width, parity if two else None)
        inside = np.ones((span.images, 1, span.rows, width), np.float32)
        feeds: dict[str, Any] = {"hyper_symbols": hyper, "inside": inside}
        index, mean, *more = self._predict_squares("prior", squares, feeds, size)
        features = dict(zip(("scale_features", "mean_features"), more, strict=True))
        coded = [(yield from self._coded(channels, squares, index, mean, target, last=last and not two))]
        if two:
            symbols = coded[0].symbols.astype(np.float32)
            feeds = {**features, "place": squares.ranks()}
            feeds |= {"known_symbols": symbols, "known_latent": symbols + mean}
            others = Squares(span.rows, width, 1 - parity)
            index, mean = self._predict_squares("context", others, feeds, size)
            coded.append((yield from self._coded(channels, others, index, mean, target, last=last)))
        return coded, features

    def _predict_squares(
        self, role: str, squares: Squares, feeds: dict[str, Any], size: tuple[int, int]
    ) -> list[NDArray[Any]]:
        """As `_predict`, for some squares: table index and mean are `[n, c, 1, P]`, with `size` for n and c."""
        places = squares.places()
        if not len(places) and role != "prior":
            return [np.empty((*size, 1, 0), np.uint8), np.empty((*size, 1, 0), np.float32)]
        asked = places if len(places) else np.zeros(1, np.int64)  # a convolution over nothing is refused
        outputs = self._predict(role, {**feeds, "squares": asked}, (*size, 1, len(asked)))
        return [values[..., : len(places)] for values in outputs[:2]] + outputs[2:]

    def _predict(self, role: str, feeds: dict[str, Any], shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """Outputs of one pass's graph, checked: table index and mean of a shape, and the first pass's features."""
        name, expected = f"{role}.onnx", 4 if role == "prior" else 2
        feeds = {key: np.ascontiguousarray(value) for key, value in feeds.items()}
        with stage("prior_graph"):
            outputs = self._graphs[role].run(feeds)
        if len(outputs) != expected:
            raise BundleError(f"{name} gave {len(outputs)} outputs, expected {expected}; export the bundle again")
        _check_output(name, outputs[0], shape, np.uint8)
        _check_output(name, outputs[1], shape, np.float32)
        if outputs[0].max(initial=0) >= SCALES:
            raise BundleError(f"{name} gave table index {outputs[0].max()}, expected at most {SCALES - 1}")
        return outputs

    def _hyper_symbols(self, quality: int, span: Span, width: int, target: Floats | None) -> WalkPart[Floats]:
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
        found = (yield Asked(index.ravel(), wanted, last=False)).astype(np.float32).reshape(shape)
        return np.clip(found, -MAX_HYPER_SYMBOL, MAX_HYPER_SYMBOL, out=found)  # a forged stream may hold larger ones

    def _coded(
        self,
        channels: slice,
        squares: Squares,
        index: NDArray[np.uint8],
        mean: Floats,
        target: Floats | None,
        *,
        last: bool,
    ) -> WalkPart[Coded]:
        """The elements of some channels on some squares, given table index and mean of each."""
        tables = np.frombuffer(bytearray(index.ravel()).translate(self._scale_tables), np.uint8)
        wanted = None
        if target is not None:
            wanted = squares.take(target[:, channels])
            wanted -= mean.reshape(wanted.shape)
            wanted = wanted.ravel()
        symbols = yield Asked(tables, wanted, last)
        return Coded(channels, squares, symbols.reshape(mean.shape), mean)


class Squares:
    """Every second position of a chunk's planes, like one colour of a checkerboard, or all of them.

    Args:
        rows: of the chunk.
        width: of the chunk.
        parity: of row + column, the row counted from the chunk's first; None for all positions.
    """

    def __init__(self, rows: int, width: int, parity: int | None) -> None:
        self._size = rows, width
        self._parity = parity

    def places(self) -> NDArray[np.int64]:
        """Row * width + column of every one, int64 [P], ascending: the coding order within a plane."""
        rows, width = self._size
        if self._parity is None:
            return np.arange(rows * width)
        return np.flatnonzero((np.arange(rows)[:, None] + np.arange(width)) % 2 == self._parity)

    def ranks(self) -> NDArray[np.int64]:
        """For each position of a plane its place among these, and P for the others, int64 [rows, width]."""
        places = self.places()
        found = np.full(self._size, len(places), np.int64)
        found.ravel()[places] = np.arange(len(places))
        return found

    def empty(self, count: int, channels: int) -> Floats:
        """Planes to fill, float32 [count, channels, rows, width]."""
        return np.empty((count, channels, *self._size), np.float32)

    def take(self, planes: Floats) -> Floats:
        """Copy these positions of `[n, c, rows, width]`, in C order, as `[n, c, P]`."""
        count, channels, rows, width = planes.shape
        if self._parity is None or width % 2:  # of an odd width, every second position of a row goes on in the next
            return np.ascontiguousarray(self._flat(planes))
        found = np.empty((count, channels, rows, width // 2), np.float32)
        for row in range(2):
            found[:, :, row::2] = self._of_rows(planes, row)
        return found.reshape(count, channels, -1)

    def put(self, planes: Floats, values: Floats) -> None:
        """Fill these positions of contiguous `planes` with what `take` would give."""
        count, channels, rows, width = planes.shape
        if self._parity is None or width % 2:
            self._flat(planes)[:] = values
            return
        parts = values.reshape(count, channels, rows, width // 2)
        for row in range(2):
            self._of_rows(planes, row)[:] = parts[:, :, row::2]

    def _flat(self, planes: Floats) -> Floats:
        flat = planes.reshape(*planes.shape[:2], -1)
        return flat if self._parity is None else flat[:, :, self._parity :: 2]

    def _of_rows(self, planes: Floats, row: int) -> Floats:
        """View of these positions in every second row from `row`."""
        return planes[:, :, row::2, (row + (self._parity or 0)) % 2 :: 2]


def _by_channel(row: NDArray[Any]) -> NDArray[Any]:
    """A view [1, c, 1, 1] of [c]."""
    return row.reshape(1, -1, 1, 1)


def _check_output(name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if values.shape != shape or values.dtype != dtype:
        raise BundleError(
            f"{name} gave {values.dtype} {values.shape}, expected {np.dtype(dtype)} {shape}; export the bundle again"
        )
    # A NaN would become some symbol, and which one is the processor's choice.
    if dtype is not np.uint8 and not all_finite(values):
        raise BundleError(f"{name} gave NaN or infinity; export the bundle again")
