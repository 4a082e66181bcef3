"""Interleaved range coder (rANS): 32-bit states, 16-bit words, 14-bit frequencies, one state per lane.

The coder is a stack: an encoder pushes the last symbols first and a decoder pops the first symbols first. It works in
steps of one symbol per lane; NumPy does a step in a handful of calls whatever the number of lanes. It knows nothing of
tables: a push takes frequencies, a pop looks up the symbol of a slot (state modulo 16384).
A step costs some microseconds whatever it codes, so independent coders take each step together.
Invariant between steps: every state is in [2^16, 2^32), except with `zero_start`.
(Asymmetric numeral systems, arXiv 1311.2540; interleaved entropy coders, arXiv 1402.3392.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StreamError
from .bank import FREQUENCY_MASK, PRECISION_BITS, SLOT_MASK, TOTAL

LOWEST_STATE = 1 << 16

_BLOCK = 1 << 15  # symbols coded at a time: their work arrays stay in the second-level cache

_MOST_LANES = 4096  # of coders that step together: wider steps gain no time

FEW_LANES = 4
"""Up to this many lanes, Python integers are faster: half a microsecond per symbol, against four per NumPy step."""

# With few lanes, each call in the loops below counts: functions are looked up once, outputs are passed by position.
add, multiply, floor_divide, copyto = np.add, np.multiply, np.floor_divide, np.copyto
bitwise_and, right_shift, less, less_equal = np.bitwise_and, np.right_shift, np.less, np.less_equal

# Operands of the loops are arrays already: a Python number costs 0.2 us per call to convert.
_WORD_BITS = np.array(16, np.uint32)
_SLOT_BITS = np.array(PRECISION_BITS, np.uint32)
_SLOTS = np.array(SLOT_MASK, np.uint32)
_LOWEST = np.array(LOWEST_STATE, np.uint32)
_FREQUENCIES = int(FREQUENCY_MASK)


class RansEncoder:
    """A coder that pushes symbols, the last ones first.

    Args:
        states: uint32 [L], the start states, changed by pushing.
    """

    def __init__(self, states: NDArray[np.uint32]) -> None:
        self.states = states
        self._words: list[NDArray[np.uint16]] = []

    def push(self, entries: NDArray[np.uint32]) -> None:
        """Push rows of symbols; see `push_together`."""
        push_together([self], [entries])

    def words(self) -> NDArray[np.uint16]:
        """Return all words so far in the order in which a decoder reads them, uint16 [m]."""
        return np.concatenate([*reversed(self._words), np.empty(0, np.uint16)])

    def add_words(self, words: NDArray[np.uint16]) -> None:
        """Add the words of rows that were pushed."""
        self._words.append(words)


def push_together(coders: Sequence[RansEncoder], entries: Sequence[NDArray[np.uint32]]) -> None:
    """Push rows of symbols to several coders, the last row first; equal to pushing to one after the other.

    Args:
        coders: the coders.
        entries: uint32 [S, L] for each, frequency << 14 | cumulative in the low 29 bits; S and L may differ.
    """
    waiting = []
    for coder, rows in zip(coders, entries, strict=True):
        if len(coder.states) <= FEW_LANES:
            _push_few(coder, rows)
        elif len(rows):
            waiting.append((coder, rows))
    while waiting:
        together, count = _extent([rows for _, rows in waiting])
        active, others = waiting[:together], waiting[together:]
        _push([coder for coder, _ in active], [rows[-count:] for _, rows in active])
        waiting = [(coder, rows[:-count]) for coder, rows in active if len(rows) > count] + others


def _extent(waiting: Sequence[NDArray[np.uint32]]) -> tuple[int, int]:
    """Return how many of the first coders step together, and for how many rows that all of them have."""
    lanes = np.cumsum([rows.shape[1] for rows in waiting])
    together = max(int(np.searchsorted(lanes, _MOST_LANES, "right")), 1)
    return together, min(*map(len, waiting[:together]), max(_BLOCK // int(lanes[together - 1]), 1))


def _push(coders: Sequence[RansEncoder], rows: Sequence[NDArray[np.uint32]]) -> None:
    """Push the same number of rows to each coder."""
    entries, states = _joined(rows), _joined([coder.states for coder in coders])
    frequency = (entries >> _SLOT_BITS) & FREQUENCY_MASK
    limit = (frequency << np.uint32(32 - PRECISION_BITS)) - np.uint32(1)  # frequency 16384 wraps to 2^32 - 1: never
    gap = np.uint32(TOTAL) - frequency
    cumulative = entries & _SLOTS
    before = np.empty_like(entries)  # states before their word, if any, is removed
    before[-1] = states
    state, quotient = np.empty_like(states), np.empty_like(states)
    keep = np.empty(states.shape, np.bool_)
    targets = list(before)
    steps = zip(targets, [states, *targets], limit, frequency, gap, cumulative, strict=False)
    for old, target, most, each, other, first in reversed(list(steps)):
        less_equal(old, most, keep)
        right_shift(old, _WORD_BITS, state)
        copyto(state, old, "same_kind", keep)
        floor_divide(state, each, quotient)
        multiply(quotient, other, quotient)  # x // f * 16384 + x % f = x + x // f * (16384 - f)
        add(state, quotient, state)
        add(state, first, target)
    for coder, lanes in zip(coders, _lanes_of(coders), strict=True):
        coder.states = states[lanes]
        own = before[:, lanes].ravel()
        # Twice as fast as indexing with the mask.
        coder.add_words(own.take(np.flatnonzero(own > limit[:, lanes].ravel())).astype(np.uint16))


def _push_few(coder: RansEncoder, rows: NDArray[np.uint32]) -> None:
    states, words = coder.states.tolist(), []
    for entry, lane in zip(reversed(rows.ravel().tolist()), cycle(range(len(states) - 1, -1, -1))):
        state, frequency = states[lane], entry >> PRECISION_BITS & _FREQUENCIES
        if state >= frequency << 32 - PRECISION_BITS:
            words.append(state & 0xFFFF)
            state >>= 16
        states[lane] = state + state // frequency * (TOTAL - frequency) + (entry & TOTAL - 1)
    coder.states[:] = states
    coder.add_words(np.array(words[::-1], np.uint16))


class RansDecoder:
    """A coder that pops symbols, the first ones first.

    Args:
        states: uint32 [L], each at least 2^16; changed by popping.
        words: uint32 [m], values below 2^16.
        zero_start: the encoder started its one lane from state 0: when no word is left, the state may fall below 2^16.

    Attributes:
        position, end: words[position:end] are not read yet; a caller may lower `end`.
    """

    def __init__(self, states: NDArray[np.uint32], words: NDArray[np.uint32], *, zero_start: bool = False) -> None:
        self.states = states
        self.words = words
        self.position, self.end = 0, len(words)
        self.zero_start = zero_start


def pop_together(
    coders: Sequence[RansDecoder],
    bases: Sequence[NDArray[np.uint32]],
    steps: NDArray[np.uint32],
    symbols: NDArray[np.int16],
) -> list[NDArray[np.int16]]:
    """Pop rows of symbols of several coders, int16 [S, L] for each; equal to popping from one after the other.

    Args:
        coders: the coders.
        bases: uint32 [S, L] for each, where in `steps` the 16384 slots of each symbol's table begin.
        steps: uint32, frequency << 14 | slot - cumulative for every slot of every table.
        symbols: int16, the symbol of every slot.

    Raises:
        StreamError: the words end too early.
    """
    found, waiting = [], []
    for coder, rows in zip(coders, bases, strict=True):
        if len(coder.states) <= FEW_LANES:
            found.append(symbols.take(_pop_few(coder, rows, steps)).reshape(rows.shape))
            continue
        found.append(np.empty(rows.shape, np.int16))
        if len(rows):
            waiting.append((coder, rows, found[-1]))
    while waiting:
        together, count = _extent([rows for _, rows, _ in waiting])
        active, others = waiting[:together], waiting[together:]
        popping = [coder for coder, _, _ in active]
        slots = _pop(popping, _joined([rows[:count] for _, rows, _ in active]), steps)
        for (_, _, into), lanes in zip(active, _lanes_of(popping), strict=True):
            symbols.take(slots[:, lanes], out=into[:count], mode="clip")
        waiting = [(coder, rows[count:], into[count:]) for coder, rows, into in active if len(rows) > count] + others
    return found


def _pop(coders: Sequence[RansDecoder], bases: NDArray[np.uint32], steps: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Pop the same number of rows of each coder; return base + slot of each symbol, [S, L of all]."""
    found = np.empty(bases.shape, np.intp)
    state = _joined([coder.states for coder in coders])
    step, frequency, low = np.empty_like(state), np.empty_like(state), np.empty(state.shape, np.bool_)
    feed = _Feed(coders[0]) if len(coders) == 1 else _SharedFeed(coders, len(bases))
    take, nonzero, fed = steps.take, low.nonzero, feed.take
    for base, index in zip(bases, found, strict=True):
        bitwise_and(state, _SLOTS, step)
        add(step, base, index)
        take(index, None, step, "clip")  # never clips; the mode only spares a copy
        right_shift(state, _SLOT_BITS, state)
        right_shift(step, _SLOT_BITS, frequency)
        multiply(state, frequency, state)
        bitwise_and(step, _SLOTS, step)
        add(state, step, state)
        less(state, _LOWEST, low)
        hungry = nonzero()[0]  # twice as fast as indexing by the mask
        if len(hungry):
            state[hungry] = (state[hungry] << _WORD_BITS) | fed(hungry)
    feed.finish()
    for coder, lanes in zip(coders, _lanes_of(coders), strict=True):
        coder.states = state[lanes]
    return found


class _Feed:
    """The words of one coder, for the lanes that need them."""

    def __init__(self, coder: RansDecoder) -> None:
        self._coder = coder

    def take(self, hungry: NDArray[np.intp]) -> NDArray[np.uint32]:
        """Return the next word for each of some lanes.

        Raises:
            StreamError: there are too few words.
        """
        coder = self._coder
        first = coder.position
        coder.position = stop = first + len(hungry)
        if stop > coder.end:
            raise _too_short()
        return coder.words[first:stop]

    def finish(self) -> None:
        """Do nothing: `take` counts the words."""


class _SharedFeed:
    """The words of several coders, for a bounded number of steps."""

    def __init__(self, coders: Sequence[RansDecoder], steps: int) -> None:
        ends = [min(coder.position + steps * len(coder.states), coder.end) for coder in coders]  # one per lane and step
        parts = [coder.words[coder.position : end] for coder, end in zip(coders, ends, strict=True)]
        self._coders = coders
        self._words = np.concatenate([*parts, np.zeros(1, np.uint32)])
        self._first = np.cumsum([0, *map(len, parts[:-1])])
        self._next = self._first.copy()
        self._lanes = np.cumsum([0, *(len(coder.states) for coder in coders)])
        self._order = np.arange(self._lanes[-1])

    def take(self, hungry: NDArray[np.intp]) -> NDArray[np.uint32]:
        """Return the next word for each of some lanes; if a coder has too few, arbitrary ones, and `finish` raises."""
        bounds = hungry.searchsorted(self._lanes)
        first, stop = bounds[:-1], bounds[1:]
        position = (self._next - first).repeat(stop - first)
        position += self._order[: len(position)]
        self._next += stop
        self._next -= first
        return self._words.take(position, mode="clip")

    def finish(self) -> None:
        """Count the words that were read.

        Raises:
            StreamError: there were too few.
        """
        for coder, count in zip(self._coders, (self._next - self._first).tolist(), strict=True):
            coder.position += count
            if coder.position > coder.end:
                raise _too_short()


def _pop_few(coder: RansDecoder, rows: NDArray[np.uint32], steps: NDArray[np.uint32]) -> NDArray[np.intp]:
    states, found = coder.states.tolist(), []
    position, word, step_at = coder.position, coder.words.item, steps.item
    for base, lane in zip(rows.ravel().tolist(), cycle(range(len(states)))):
        state = states[lane]
        index = base + (state & TOTAL - 1)
        found.append(index)
        step = step_at(index)
        state = (state >> PRECISION_BITS) * (step >> PRECISION_BITS) + (step & TOTAL - 1)
        if state < LOWEST_STATE and not (coder.zero_start and position == coder.end):
            if position >= coder.end:
                raise _too_short()
            state = state << 16 | word(position)
            position += 1
        states[lane] = state
    coder.states[:], coder.position = states, position
    return np.array(found, np.intp)


def _too_short() -> StreamError:
    return StreamError("chunk: the coder needs more words than there are; the stream is damaged")


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate parts, lane after lane; return a single one unchanged."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _lanes_of(coders: Sequence[RansEncoder] | Sequence[RansDecoder]) -> Iterator[slice]:
    """Yield the slice of each coder's lanes among those of all."""
    first = 0
    for coder in coders:
        yield slice(first, first + len(coder.states))
        first += len(coder.states)
