"""The coder, in Python for few lanes and in NumPy for many, against a plain one that does a symbol at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeedge_runtime.entropy.bank import NEUTRAL
from aeedge_runtime.entropy.rans import RansDecoder, RansEncoder, pop_together, push_together
from aeedge_runtime.errors import StreamError


def scalar_encode(entries: list[tuple[int, int]], states: list[int]) -> list[int]:
    """Pushes (frequency, cumulative) last ones first; changes states and returns words in reading order."""
    words: list[int] = []
    for i in range(len(entries) - 1, -1, -1):
        (f, cumulative), lane = entries[i], i % len(states)
        x = states[lane]
        if x >= f << 18:
            words.insert(0, x & 0xFFFF)
            x >>= 16
        states[lane] = (x // f << 14) + x % f + cumulative
    return words


def entry_of(draw_bits: int) -> tuple[int, int]:
    f = draw_bits % 16383 + 1
    return f, (draw_bits >> 14) % (16384 - f + 1)


entries_strategy = st.lists(st.integers(0, 2**28 - 1).map(entry_of), min_size=1, max_size=200)


@given(entries_strategy, st.sampled_from([1, 2, 4, 8, 16]), st.integers(0, 65535))
@settings(max_examples=150, deadline=None)
def test_words_and_states_equal_the_scalar_coder_and_pop_undoes_push(entries, lanes, start):
    expected_states = [65536 + (start * (lane + 1)) % 65536 for lane in range(lanes)]
    begin = np.array(expected_states, np.uint32)
    expected_words = scalar_encode(entries, expected_states)

    rows = np.full(-(-len(entries) // lanes) * lanes, NEUTRAL, np.uint32)
    rows[: len(entries)] = [f << 14 | cumulative for f, cumulative in entries]
    coder = RansEncoder(begin.copy())
    half = len(rows) // lanes // 2 * lanes
    for part in (rows[half:], rows[:half]):
        if len(part):
            coder.push(part.reshape(-1, lanes))
    assert coder.states.tolist() == expected_states
    assert coder.words().tolist() == expected_words

    steps, bases = neutral_and_exact_rows(entries, len(rows))
    decoder = RansDecoder(coder.states.copy(), coder.words().astype(np.uint32))
    slots = pop(decoder, bases.reshape(-1, lanes), steps)
    for slot, (f, cumulative) in zip(slots[: len(entries)], entries, strict=False):
        assert cumulative <= slot < cumulative + f
    assert decoder.position == decoder.end
    np.testing.assert_array_equal(decoder.states, begin)


def pop(decoder, bases, steps):
    """Slots of the symbols popped, int16 [n]; what lies behind a slot is its number."""
    return pop_together([decoder], [bases], steps, np.resize(np.arange(16384, dtype=np.int16), len(steps)))[0].ravel()


def neutral_and_exact_rows(entries, length):
    """A lookup with one row of 16384 slots per entry, right inside the entry's interval, and a neutral row."""
    slots = np.arange(16384, dtype=np.uint32)
    rows = [(f << 14) + (slots - np.uint32(cumulative)) % np.uint32(16384) for f, cumulative in entries]
    rows.append((16384 << 14) + slots)
    bases = np.full(length, len(entries) * 16384, np.uint32)
    bases[: len(entries)] = np.arange(len(entries)) * 16384
    return np.concatenate(rows).astype(np.uint32), bases


SHAPES = [(3, 1), (90, 8), (0, 8), (70, 4), (40, 64), (91, 8), (1, 16)]
"""Rows and lanes of coders side by side, few lanes and many, short ones and long ones."""


def side_by_side(rng):
    """Entries, uint32 [S, L], for each of SHAPES, a lookup for all of them and where each symbol's table begins."""
    pool = [entry_of(int(bits)) for bits in rng.integers(0, 2**28, 20)]
    chosen = [rng.integers(0, len(pool), shape) for shape in SHAPES]
    packed = np.array([f << 14 | cumulative for f, cumulative in pool], np.uint32)
    steps, bases = neutral_and_exact_rows(pool, len(pool))
    return [packed[index] for index in chosen], steps, [bases[index].astype(np.uint32) for index in chosen]


def start_states(rng):
    return [rng.integers(65536, 2**17, lanes).astype(np.uint32) for _, lanes in SHAPES]


@pytest.mark.parametrize(("block", "most_lanes"), [(16, 8), (300, 70), (300, 4096), (1 << 15, 4096)])
def test_coders_side_by_side_give_what_each_gives_alone(block, most_lanes, monkeypatch):
    rng = np.random.default_rng(block)
    entries, steps, bases = side_by_side(rng)
    begin = start_states(rng)
    alone = [RansEncoder(states.copy()) for states in begin]
    for coder, rows in zip(alone, entries, strict=True):
        coder.push(rows)
    monkeypatch.setattr("aeedge_runtime.entropy.rans._BLOCK", block)
    monkeypatch.setattr("aeedge_runtime.entropy.rans._MOST_LANES", most_lanes)
    together = [RansEncoder(states.copy()) for states in begin]
    push_together(together, entries)
    for one, other in zip(alone, together, strict=True):
        assert one.states.tolist() == other.states.tolist()
        assert one.words().tolist() == other.words().tolist()
    decoders = [RansDecoder(coder.states.copy(), coder.words().astype(np.uint32)) for coder in together]
    symbols = np.resize(np.arange(16384, dtype=np.int16), len(steps))
    found = pop_together(decoders, bases, steps, symbols)
    for decoder, states, rows, slots in zip(decoders, begin, entries, found, strict=True):
        cumulative, frequency = rows & 16383, rows >> 14
        assert ((cumulative <= slots) & (slots < cumulative + frequency)).all()
        assert decoder.position == decoder.end
        assert decoder.states.tolist() == states.tolist()


@pytest.mark.parametrize("short", [1, 3, 4, 5])
def test_words_that_one_of_several_coders_lacks(short):
    """Also where its neighbours have enough: those are not its own."""
    rng = np.random.default_rng(short)
    entries, steps, bases = side_by_side(rng)
    coders = [RansEncoder(states) for states in start_states(rng)]
    push_together(coders, entries)
    decoders = [RansDecoder(coder.states, coder.words().astype(np.uint32)) for coder in coders]
    decoders[short].end -= 1
    alone = RansDecoder(decoders[short].states.copy(), decoders[short].words[:-1])
    with pytest.raises(StreamError, match="more words than there are"):
        pop_together(decoders, bases, steps, np.zeros(len(steps), np.int16))
    with pytest.raises(StreamError, match="more words than there are"):
        pop(alone, bases[short], steps)


def test_a_neutral_entry_changes_no_state():
    states = np.array([65536, 2**32 - 1, 2**31], np.uint32)
    coder = RansEncoder(states.copy())
    coder.push(np.full((5, 3), NEUTRAL, np.uint32))
    np.testing.assert_array_equal(coder.states, states)
    assert not len(coder.words())


def test_missing_words_are_refused():
    steps, bases = neutral_and_exact_rows([(1, 0)], 1)
    with pytest.raises(StreamError, match="more words than there are"):
        pop(RansDecoder(np.array([65536], np.uint32), np.empty(0, np.uint32)), bases.reshape(1, 1), steps)


def test_a_zero_start_lets_the_state_fall_when_no_word_is_left():
    coder = RansEncoder(np.zeros(1, np.uint32))
    coder.push(np.array([[100 << 14 | 7], [200 << 14 | 9]], np.uint32))
    steps, bases = neutral_and_exact_rows([(100, 7), (200, 9)], 2)
    decoder = RansDecoder(coder.states, coder.words().astype(np.uint32), zero_start=True)
    slots = pop(decoder, bases.reshape(2, 1), steps)
    assert 7 <= slots[0] < 107
    assert 9 <= slots[1] < 209
    assert decoder.states.tolist() == [0]
