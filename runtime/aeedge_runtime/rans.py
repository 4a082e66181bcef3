"""Interleaved range coder (rANS): 32-bit states, 16-bit words, 14-bit frequencies, one state per lane.

The coder is a stack: an encoder pushes the last symbols first and a decoder pops the first symbols first. It works in
steps of one symbol per lane; NumPy does a step in a handful of calls whatever the number of lanes. It knows nothing of
tables: a push takes frequencies, a pop returns the slots (state modulo 16384) that a lookup turns into symbols.
Invariant between steps: every state is in [2^16, 2^32), but see `zero_start`.
(Asymmetric numeral systems, arXiv 1311.2540; interleaved entropy coders, arXiv 1402.3392.)
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from .bank import FREQUENCY_MASK, PRECISION_BITS, SLOT_MASK, TOTAL
from .errors import StreamError

LOWEST_STATE = 1 << 16

FEW_LANES = 4
"""Up to so many lanes Python's own integers are faster: half a microsecond a symbol, against four a step of NumPy."""

# Few lanes make the loops below a matter of microseconds a call: functions are looked up once, outputs go by position.
add, multiply, floor_divide, copyto = np.add, np.multiply, np.floor_divide, np.copyto
bitwise_and, right_shift, less, less_equal = np.bitwise_and, np.right_shift, np.less, np.less_equal

# Operands of the loops are arrays already: a Python number costs 0.2 us per call to convert.
_WORD_BITS = np.array(16, np.uint32)
_SLOT_BITS = np.array(PRECISION_BITS, np.uint32)
_SLOTS = np.array(SLOT_MASK, np.uint32)
_LOWEST = np.array(LOWEST_STATE, np.uint32)
_FREQUENCIES = int(FREQUENCY_MASK)


class RansEncoder:
    """Pushes symbols, last ones first.

    Args:
        states: uint32 [L], the start states; they are changed by pushing.
    """

    def __init__(self, states: NDArray[np.uint32]) -> None:
        self.states = states
        self._words: list[NDArray[np.uint16]] = []

    def push(self, entries: NDArray[np.uint32]) -> None:
        """Pushes rows of symbols, the last row first.

        Args:
            entries: uint32 [S, L], frequency << 14 | cumulative in the low 29 bits of each.
        """
        if len(self.states) <= FEW_LANES:
            self._push_few(entries)
            return
        frequency = (entries >> _SLOT_BITS) & FREQUENCY_MASK
        limit = (frequency << np.uint32(32 - PRECISION_BITS)) - np.uint32(1)  # frequency 16384 wraps to 2^32 - 1: never
        gap = np.uint32(TOTAL) - frequency
        cumulative = entries & _SLOTS
        before = np.empty_like(entries)  # states before their word, if any, is taken off
        before[-1] = self.states
        state, quotient = np.empty_like(self.states), np.empty_like(self.states)
        keep = np.empty(self.states.shape, np.bool_)
        states = list(before)
        rows = zip(states, [self.states, *states], limit, frequency, gap, cumulative, strict=False)
        for old, target, most, each, other, first in reversed(list(rows)):
            less_equal(old, most, keep)
            right_shift(old, _WORD_BITS, state)
            copyto(state, old, "same_kind", keep)
            floor_divide(state, each, quotient)
            multiply(quotient, other, quotient)  # x // f * 16384 + x % f = x + x // f * (16384 - f)
            add(state, quotient, state)
            add(state, first, target)
        # Places of a mask, and what lies there, are found twice as fast as by indexing with the mask.
        self._words.append(before.ravel().take(np.flatnonzero(before > limit)).astype(np.uint16))

    def _push_few(self, entries: NDArray[np.uint32]) -> None:
        states, words = self.states.tolist(), []
        for entry, lane in zip(reversed(entries.ravel().tolist()), cycle(range(len(states) - 1, -1, -1))):
            state, frequency = states[lane], entry >> PRECISION_BITS & _FREQUENCIES
            if state >= frequency << 32 - PRECISION_BITS:
                words.append(state & 0xFFFF)
                state >>= 16
            states[lane] = state + state // frequency * (TOTAL - frequency) + (entry & TOTAL - 1)
        self.states[:] = states
        self._words.append(np.array(words[::-1], np.uint16))

    def words(self) -> NDArray[np.uint16]:
        """All words so far in the order in which a decoder reads them, uint16 [m]."""
        return np.concatenate([*reversed(self._words), np.empty(0, np.uint16)])


class RansDecoder:
    """Pops symbols, first ones first.

    Args:
        states: uint32 [L], each at least 2^16; they are changed by popping.
        words: uint32 [m], values below 2^16.
        zero_start: the encoder started its one lane from state 0: when no word is left the state may fall below 2^16.

    Attributes:
        position, end: the words not read yet are words[position:end]; a caller may lower `end`.
    """

    def __init__(self, states: NDArray[np.uint32], words: NDArray[np.uint32], *, zero_start: bool = False) -> None:
        self.states = states
        self.words = words
        self.position, self.end = 0, len(words)
        self.zero_start = zero_start

    def pop(self, bases: NDArray[np.uint32], steps: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Pops rows of symbols and returns base + slot of each, [S, L].

        Args:
            bases: uint32 [S, L], where in `steps` the 16384 slots of each symbol's table begin.
            steps: uint32, frequency << 14 | slot - cumulative for every slot of every table.

        Raises:
            StreamError: the words end too early.
        """
        if len(self.states) <= FEW_LANES:
            return self._pop_few(bases, steps)
        found = np.empty(bases.shape, np.intp)
        state = self.states
        step, frequency, low = np.empty_like(state), np.empty_like(state), np.empty(state.shape, np.bool_)
        position, words, end = self.position, self.words, self.end
        take, nonzero = steps.take, low.nonzero
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
            count = len(hungry)
            if not count:
                continue
            if position + count > end:
                if self.zero_start and position == end:
                    continue
                raise StreamError("chunk: the coder needs more words than there are; the stream is damaged")
            state[hungry] = (state[hungry] << _WORD_BITS) | words[position : position + count]
            position += count
        self.position = position
        return found

    def _pop_few(self, bases: NDArray[np.uint32], steps: NDArray[np.uint32]) -> NDArray[np.intp]:
        states, found = self.states.tolist(), []
        position, word, step_at = self.position, self.words.item, steps.item
        for base, lane in zip(bases.ravel().tolist(), cycle(range(len(states)))):
            state = states[lane]
            index = base + (state & TOTAL - 1)
            found.append(index)
            step = step_at(index)
            state = (state >> PRECISION_BITS) * (step >> PRECISION_BITS) + (step & TOTAL - 1)
            if state < LOWEST_STATE and not (self.zero_start and position == self.end):
                if position >= self.end:
                    raise StreamError("chunk: the coder needs more words than there are; the stream is damaged")
                state = state << 16 | word(position)
                position += 1
            states[lane] = state
        self.states[:], self.position = states, position
        return np.array(found, np.intp).reshape(bases.shape)
