"""Chunks: the symbols of one or more passes as one payload of coder header, words and raw words.

A payload is empty when all its symbols are certain. Otherwise FORMAT.md defines each bit. Raw words carry
escaped symbols and signs; those of the last pass hide in the start states of the lanes, which therefore cost little.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, StreamError
from ..limits import MAX_LANES, MAX_STEPS
from ..profiling import stage
from .bank import (
    ESCAPE,
    ESCAPED,
    MAGNITUDE,
    NEGATIVE,
    NEUTRAL,
    PRECISION_BITS,
    SIGNED,
    DecoderLookup,
    FrequencyBank,
    check_certain,
)
from .lanes import choose_lanes, read_states, write_states
from .rans import LOWEST_STATE, RansDecoder, RansEncoder, pop_together, push_together

Pass = tuple[NDArray[np.uint8], NDArray[np.int16]]
"""Table index and symbol of every element of one pass, in coding order."""


@dataclass(frozen=True)
class PopRequest:
    """A chunk's request for its next symbols, int16 [S, L]: S coder steps of one symbol in each of L lanes.

    Attributes:
        coder: coder to pop them from.
        bases: uint32 [S, L], where in the lookup each symbol's table begins.
        lookup: the lookup.
    """

    coder: RansDecoder
    bases: NDArray[np.uint32]
    lookup: DecoderLookup


Request = TypeVar("Request")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

Decoding = Generator[PopRequest, NDArray[np.int16], Result]
"""Work that yields requests for symbols and continues when it is sent them, so that chunks can pop together."""


def run_passes(work: Generator[Request, Answer, Result], answer: Callable[[Request], Answer]) -> Result:
    """Run a generator to its end, sending it an answer to each request; return its result."""
    try:
        request = next(work)
        while True:
            request = work.send(answer(request))
    except StopIteration as stop:
        result: Result = stop.value
        return result


def pop_symbols(requests: Sequence[PopRequest]) -> list[NDArray[np.int16]]:
    """Answer requests of several chunks of one stream together, which is faster than one after the other.

    Raises:
        StreamError: a payload is too short.
    """
    lookup = requests[0].lookup
    coders, bases = [request.coder for request in requests], [request.bases for request in requests]
    return pop_together(coders, bases, lookup.steps, lookup.symbols)


def encode_chunk(passes: Sequence[Pass], bank: FrequencyBank) -> bytes:
    """Code the passes of one chunk.

    Args:
        passes: per pass the table index, uint8 [n], and the symbols, int16 [n], in coding order.
        bank: the tables.

    Raises:
        ArgumentError: a table index outside the bank, a symbol of -32768, a nonzero symbol under a certain table, or a
            pass too long.
    """
    encoder = ChunkEncoder(bank)
    for tables, symbols in passes:
        if tables.dtype != np.uint8 or symbols.dtype != np.int16 or tables.shape != symbols.shape or tables.ndim != 1:
            raise ArgumentError(
                f"chunk: tables {tables.dtype} {tables.shape} and symbols {symbols.dtype} {symbols.shape}; "
                "expected uint8 [n] and int16 [n]"
            )
        if len(tables) > MAX_LANES * MAX_STEPS:
            raise ArgumentError(f"chunk: a pass of {len(tables)} symbols, the limit is {MAX_LANES * MAX_STEPS}")
        coded = bank.coded(tables)
        if len(coded) != len(tables):
            check_certain(symbols, coded)
            tables, symbols = tables.take(coded), symbols.take(coded)
        encoder.add(tables, symbols)
    return encoder.finish()


class ChunkEncoder:
    """A coder of the passes of one chunk, in order.

    Args:
        bank: the tables.
    """

    def __init__(self, bank: FrequencyBank) -> None:
        self._bank = bank
        self._parts: list[_Part] = []

    def add(self, tables: NDArray[np.uint8], symbols: NDArray[np.int16]) -> None:
        """Add the next pass, without its certain elements.

        Args:
            tables: uint8 [n], tables of the bank that are not certain; n is at most MAX_LANES * MAX_STEPS.
            symbols: int16 [n].

        Raises:
            ArgumentError: a symbol of -32768.
        """
        entries = self._bank.encoder_lookup.entries(tables, symbols)
        escaped = symbols.take(np.flatnonzero(entries & ESCAPE)) if (entries >= ESCAPE).any() else symbols[:0]
        if (escaped == ESCAPED).any():
            raise ArgumentError("chunk: a symbol of -32768, expected -32767..32767; clip the symbols")
        flags = entries.take(np.flatnonzero((entries & SIGNED) != 0))  # five times as fast on a mask as on numbers
        signs = np.packbits((flags & NEGATIVE) != 0, bitorder="little").tobytes()
        words = np.frombuffer(signs + bytes(len(signs) % 2), "<u2")
        self._parts.append(_Part(entries, np.concatenate([escaped.astype("<i2").view("<u2"), words]).astype(np.uint16)))

    def finish(self) -> bytes:
        """Return the payload, empty if nothing was coded."""
        return finish_together([self])[0]

    def start(self) -> _Payload | None:
        """Return the payload before its coder has run, or None if there is nothing to code."""
        return _Payload(self._parts) if any(len(part.entries) for part in self._parts) else None


def finish_together(encoders: Sequence[ChunkEncoder]) -> list[bytes]:
    """Return the payloads of several chunks; faster than `finish` of one after the other."""
    started = [encoder.start() for encoder in encoders]
    coded = [payload for payload in started if payload is not None]
    push_together([payload.coder for payload in coded], [payload.rows() for payload in coded])
    return [b"" if payload is None else payload.finish() for payload in started]


class ChunkDecoder:
    """A reader of the passes of one chunk, in order.

    Args:
        data: the payload.
        bank: the tables the encoder had.

    Raises:
        StreamError: the coder header is cut short or not as specified.
    """

    def __init__(self, data: bytes | memoryview, bank: FrequencyBank) -> None:
        self._bank = bank
        self._coder: RansDecoder | None = None
        self._expected = np.uint32(LOWEST_STATE)
        self._finished = False
        if len(data):
            states, zero_start, used = read_states(data)
            words = np.frombuffer(data, "<u2", offset=used).astype(np.uint32)
            self._coder = RansDecoder(states, words, zero_start=zero_start)
            self._expected = np.uint32(0 if zero_start else LOWEST_STATE)
        self._coded = 0

    def decode(self, tables: NDArray[np.uint8], last: bool) -> NDArray[np.int16]:
        """Read the symbols of the next pass in one call; see `decoding`."""
        return run_passes(self.decoding(tables, last), lambda request: pop_symbols([request])[0])

    def decoding(self, tables: NDArray[np.uint8], last: bool) -> Decoding[NDArray[np.int16]]:
        """Read the symbols of the next pass, int16 [n], yielding requests for them.

        Args:
            tables: uint8 [n], table index of every element of the pass.
            last: whether this is the chunk's last pass; its raw words are in the start states first.

        Raises:
            StreamError: the payload breaks a rule of the format.
            ArgumentError: a table index outside the bank, or a pass after the last.
        """
        if self._finished:
            raise ArgumentError("chunk: a pass was requested after the last one")
        with stage("entropy_decode"):
            positions = self._bank.coded(tables)
            coded = tables if len(positions) == len(tables) else tables.take(positions)
            request = self._request(coded)
        popped = None if request is None else (yield request)
        with stage("entropy_decode"):
            found = np.empty(0, np.int16) if popped is None else popped.ravel()[: len(coded)]
            self._add_raw(found, coded, last)
            self._finished = last
            if len(coded) == len(tables):
                return found
            symbols = np.zeros(len(tables), np.int16)
            symbols[positions] = found
            return symbols

    def finish(self) -> None:
        """Check that every pass was read and every byte of the payload used.

        Raises:
            StreamError: the payload holds symbols that no pass requested.
            ArgumentError: the last pass was not read yet.
        """
        if not self._finished:
            raise ArgumentError("chunk: finish() before the last pass was decoded")
        if self._coder is not None and not self._coded:
            raise StreamError("chunk: a payload where every symbol is certain, expected none; the stream is damaged")

    def _request(self, tables: NDArray[np.uint8]) -> PopRequest | None:
        """Return the request for symbols of these tables, none of them certain; None for no symbol."""
        count, coder = len(tables), self._coder
        if not count:
            return None
        if coder is None:
            raise StreamError(f"chunk: an empty payload for {count} symbols; the stream is damaged, get it again")
        lanes = len(coder.states)
        if count > lanes * MAX_STEPS:
            raise StreamError(f"chunk: {lanes} lanes for {count} symbols, expected at most {MAX_STEPS} symbols a lane")
        self._coded += count
        lookup = self._bank.decoder_lookup(tables)
        bases = np.full(-(-count // lanes) * lanes, lookup.neutral, np.uint32)
        np.left_shift(tables, PRECISION_BITS, out=bases[:count], dtype=np.uint32)
        return PopRequest(coder, bases.reshape(-1, lanes), lookup)

    def _add_raw(self, found: NDArray[np.int16], tables: NDArray[np.uint8], last: bool) -> None:
        """Complete the popped symbols from the raw words of the pass: signs and escaped symbols."""
        if not len(found) and not last:
            return
        escaped = np.flatnonzero(found == ESCAPED)
        magnitude = self._bank.kind.take(tables) == MAGNITUDE
        magnitude &= found != 0
        magnitude[escaped] = False
        signed = np.flatnonzero(magnitude)
        words = self._raw_words(len(escaped) + -(-len(signed) // 16), last)
        self._add_escapes(found, tables, escaped, words[: len(escaped)])
        bits = np.unpackbits(words[len(escaped) :].astype("<u2").view(np.uint8), bitorder="little")
        if bits[len(signed) :].any():
            raise StreamError("chunk: the padding of the sign bits is not zero; the stream is damaged, get it again")
        found[signed] *= 1 - 2 * bits[: len(signed)].astype(np.int16)

    def _add_escapes(
        self,
        found: NDArray[np.int16],
        tables: NDArray[np.uint8],
        escaped: NDArray[np.intp],
        words: NDArray[np.uint32],
    ) -> None:
        if not len(escaped):
            return
        symbols = words.astype("<u2").view("<i2").astype(np.int16)
        if (symbols == ESCAPED).any():
            raise StreamError("chunk: an escaped symbol of -32768, expected -32767..32767; the stream is damaged")
        if ((self._bank.encoder_lookup.entries(tables[escaped], symbols) & ESCAPE) == 0).any():
            raise StreamError("chunk: an escaped symbol that its table holds; the stream is damaged, get it again")
        found[escaped] = symbols

    def _raw_words(self, count: int, last: bool) -> NDArray[np.uint32]:
        """Take raw words from the end or, for the last pass, from the final states and all that is left."""
        coder = self._coder
        if coder is None:
            return np.empty(0, np.uint32)
        if count and coder.zero_start:
            raise StreamError("chunk: raw words with a lane that starts from 0; the stream is damaged, get it again")
        left = coder.end - coder.position
        if not last:
            if count > left:
                raise StreamError(
                    f"chunk: {left} words left for {count} raw words; the stream is damaged, get it again"
                )
            coder.end -= count
            return coder.words[coder.end : coder.end + count]
        hidden = min(count, len(coder.states))
        if left != count - hidden:
            raise StreamError(
                f"chunk: {left} words left, expected {count - hidden}; the stream is damaged, get it again"
            )
        start = coder.states - self._expected
        if (start >= LOWEST_STATE).any() or start[hidden:].any():
            raise StreamError("chunk: the coder does not end in its start state; the stream is damaged, get it again")
        return np.concatenate([start[:hidden], coder.words[coder.position : coder.end]])


def hash_symbols(symbols: NDArray[np.int16], value: int = 0) -> int:
    """Continue the symbol hash of a stream: CRC-32 of the symbols as little-endian int16, in coding order."""
    return zlib.crc32(np.ascontiguousarray(symbols, "<i2").data, value)


@dataclass(frozen=True)
class _Part:
    """One pass without its certain elements: coder entries, uint32 [m], and raw words, uint16 [r]."""

    entries: NDArray[np.uint32]
    raw: NDArray[np.uint16]


class _Payload:
    """A payload in the making.

    Args:
        parts: its passes; at least one element is coded.

    Attributes:
        coder: codes them.
    """

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts, self._hidden = parts, parts[-1].raw
        lanes = choose_lanes([part.entries for part in parts], len(self._hidden))
        self._zero_start = lanes == 1 and not any(len(part.raw) for part in parts)
        self.coder = self._coder(lanes)

    def _coder(self, lanes: int) -> RansEncoder:
        start = np.full(lanes, 0 if self._zero_start else LOWEST_STATE, np.uint32)
        start[: min(lanes, len(self._hidden))] += self._hidden[:lanes]
        return RansEncoder(start)

    def rows(self) -> NDArray[np.uint32]:
        """Return the entries of all passes, uint32 [S, L]; each pass begins a row."""
        lanes = len(self.coder.states)
        lengths = [-(-len(part.entries) // lanes) * lanes for part in self._parts]
        entries = np.full(sum(lengths), NEUTRAL, np.uint32)
        first = 0
        for part, length in zip(self._parts, lengths, strict=True):
            entries[first : first + len(part.entries)] = part.entries
            first += length
        return entries.reshape(-1, lanes)

    def finish(self) -> bytes:
        """Return the bytes, after the rows were pushed."""
        if self._zero_start and self.coder.states[0] < LOWEST_STATE:  # a few likely symbols, too little to fill a state
            self._zero_start = False
            self.coder = self._coder(1)
            self.coder.push(self.rows())
        raw = [self._hidden[len(self.coder.states) :], *(part.raw for part in reversed(self._parts[:-1]))]
        words = np.concatenate([self.coder.words(), *raw])
        return write_states(self.coder.states, self._zero_start) + words.astype("<u2").tobytes()
