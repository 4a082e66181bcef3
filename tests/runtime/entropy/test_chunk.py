"""Chunks: round trips, agreement with the reference decoder, golden bytes, and one test per way a payload can lie."""

import math
import zlib

import numpy as np
import pytest
from example_tables import (
    CERTAIN_TABLE,
    gaussian_bank,
    gaussian_scales,
    gaussian_symbols,
    make_bank,
    mixed_bank,
    reference_tables,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_decoder import RuleBrokenError
from reference_decoder import decode_chunk as reference_decode

from aeedge_runtime.entropy.bank import MAGNITUDE, OFFSET
from aeedge_runtime.entropy.chunk import ChunkDecoder, encode_chunk, hash_symbols
from aeedge_runtime.entropy.lanes import ZERO_START, choose_lanes, read_states, write_states
from aeedge_runtime.entropy.rans import RansEncoder
from aeedge_runtime.errors import ArgumentError, StreamError
from aeedge_runtime.limits import MAX_LANES, MAX_STEPS

MIXED = mixed_bank()
LAPLACE = make_bank(
    [
        (MAGNITUDE, 0, np.array([8000, 8000, 383, 1], np.uint16)),
        CERTAIN_TABLE,
        (OFFSET, -1, np.array([4000, 8000, 4000, 384], np.uint16)),
    ]
)


def decode(data, tables, bank):
    decoder = ChunkDecoder(data, bank)
    found = [decoder.decode(part, last=i == len(tables) - 1) for i, part in enumerate(tables)]
    decoder.finish()
    return found


def reference(data, tables, bank):
    return reference_decode(
        data, reference_tables(bank), lambda done: (tables[len(done)].tolist(), len(done) == len(tables) - 1)
    )


def random_passes(seed, lengths, spread):
    """Symbols near what the tables hold, with escapes."""
    rng = np.random.default_rng(seed)
    passes = []
    for length in lengths:
        tables = rng.integers(0, MIXED.tables, length).astype(np.uint8)
        offset = np.where(MIXED.kind == OFFSET, MIXED.minimum, 0).astype(np.int64)
        symbols = offset[tables] + np.rint(rng.laplace(2, spread, length)).astype(np.int64)
        symbols[MIXED.certain[tables]] = 0
        passes.append((tables, np.clip(symbols, -32767, 32767).astype(np.int16)))
    return passes


passes_strategy = st.builds(
    random_passes,
    st.integers(0, 2**32),
    st.lists(st.integers(0, 700), min_size=1, max_size=3),
    st.sampled_from([0.1, 3.0, 40.0, 20000.0]),
)


@given(passes_strategy)
@settings(max_examples=100, deadline=None)
def test_round_trip(passes):
    data = encode_chunk(passes, MIXED)
    for found, (_, symbols) in zip(decode(data, [tables for tables, _ in passes], MIXED), passes, strict=True):
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, symbols)


@given(passes_strategy)
@settings(max_examples=25, deadline=None)
def test_the_reference_decoder_finds_the_same_symbols(passes):
    data = encode_chunk(passes, MIXED)
    assert reference(data, [tables for tables, _ in passes], MIXED) == [symbols.tolist() for _, symbols in passes]


@given(passes_strategy, st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_payload_is_refused_or_read_alike_by_both_decoders(passes, choose):
    data = bytearray(encode_chunk(passes, MIXED))
    if not data:
        return
    if choose.draw(st.booleans()):
        data[choose.draw(st.integers(0, min(len(data), 40) - 1))] ^= 1 << choose.draw(st.integers(0, 7))
    else:
        del data[choose.draw(st.integers(0, len(data) - 1)) :]
    assert_same_verdict(bytes(data), [tables for tables, _ in passes], MIXED)


@given(st.binary(max_size=60), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused_or_read_alike_by_both_decoders(data, count):
    assert_same_verdict(data, [np.zeros(8 * count, np.uint8), np.zeros(2, np.uint8)], LAPLACE)


def assert_same_verdict(data, tables, bank):
    try:
        expected = reference(data, tables, bank)
    except RuleBrokenError:
        with pytest.raises(StreamError):
            decode(data, tables, bank)
        return
    assert [part.tolist() for part in decode(data, tables, bank)] == expected


def test_every_bit_of_a_payload_matters_to_the_symbols_or_is_refused():
    passes = random_passes(3, [40, 160], 3.0)
    data = encode_chunk(passes, MIXED)
    tables = [tables for tables, _ in passes]
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = decode(bytes(changed), tables, MIXED)
        except StreamError:
            continue
        assert any((part != symbols).any() for part, (_, symbols) in zip(found, passes, strict=True))


def test_every_truncation_of_a_payload_is_refused():
    passes = random_passes(3, [60, 300], 3.0)
    data = encode_chunk(passes, MIXED)
    for size in range(len(data)):
        with pytest.raises(StreamError):
            decode(data[:size], [tables for tables, _ in passes], MIXED)


GOLDEN = {
    "certain": ([([1] * 9, [0] * 9)], ""),
    "few bits": ([([0] * 9 + [1], [0] * 10)], "905e00801b"),
    "start from zero": ([([2] * 20, [0, 1, -1, 0, 1] * 4)], "cc3c0109d800a8"),
    "signs": ([([0] * 20, [0, 1, -1, 0, 2, 0, 0, -1, 0, 0, 1, 1, 0, 0, 0, -2, 0, 1, 0, 0])], "d0c4080e057a97"),
    "escapes in two passes": (
        [([0, 1, 0], [5, 0, -300]), ([0] * 4, [0, -1, 32767, 1])],
        "d07815ffffffffffff01000500d4fe",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name):
    lists, expected = GOLDEN[name]
    passes = [(np.array(tables, np.uint8), np.array(symbols, np.int16)) for tables, symbols in lists]
    assert encode_chunk(passes, LAPLACE).hex() == expected
    tables = [tables for tables, _ in passes]
    assert reference(bytes.fromhex(expected), tables, LAPLACE) == [symbols for _, symbols in lists]
    for found, (_, symbols) in zip(decode(bytes.fromhex(expected), tables, LAPLACE), passes, strict=True):
        np.testing.assert_array_equal(found, symbols)


def test_golden_bytes_of_two_lanes():
    symbols = np.array([(i * i) % 7 // 3 - (i % 5 == 0) for i in range(800)], np.int16)
    tables = np.zeros(800, np.uint8)
    data = encode_chunk([(tables, symbols)], LAPLACE)
    assert (data[0] & 15, len(data), zlib.crc32(data)) == (1, 143, 1300358775)
    assert reference(data, [tables], LAPLACE) == [symbols.tolist()]


@pytest.mark.parametrize("scale", [0.2, 0.5, 2.0, 30.0])
@pytest.mark.parametrize("payload_bytes", [5_000, 50_000])
def test_overhead_is_at_most_one_percent_from_5_kb_on(scale, payload_bytes):
    rng = np.random.default_rng(5)
    bank = gaussian_bank(np.array([scale]))
    probe = np.zeros(4096, np.uint8)
    bits = bank.cost_bits(probe, gaussian_symbols(rng, bank, np.array([scale]), probe)).mean()
    tables = np.zeros(min(math.ceil(8 * payload_bytes / bits), 1 << 20), np.uint8)
    symbols = gaussian_symbols(rng, bank, np.array([scale]), tables)
    data = encode_chunk([(tables, symbols)], bank)
    assert len(data) * 8 <= 1.01 * bank.cost_bits(tables, symbols).sum()


def test_encoding_a_lot_in_blocks_gives_what_it_took():
    rng = np.random.default_rng(6)
    scales = gaussian_scales()
    bank = gaussian_bank(scales)
    tables = [rng.integers(0, 64, size).astype(np.uint8) for size in (500, 120_001, 77_777)]
    passes = [(part, gaussian_symbols(rng, bank, scales, part)) for part in tables]
    for found, (_, symbols) in zip(decode(encode_chunk(passes, bank), tables, bank), passes, strict=True):
        np.testing.assert_array_equal(found, symbols)


def test_lanes_keep_the_number_of_steps_within_its_limit():
    likely = np.full(1 << 20, np.uint32(16383 << 14))
    lanes = choose_lanes([likely], 0)
    assert lanes * MAX_STEPS >= len(likely)
    assert lanes <= MAX_LANES


def test_the_hash_is_the_crc_of_little_endian_symbols_and_can_be_continued():
    symbols = np.array([1, -2, 300], np.int16)
    assert hash_symbols(np.array([], np.int16)) == 0
    assert hash_symbols(symbols[1:], hash_symbols(symbols[:1])) == hash_symbols(symbols) == 0xEC897C47


@given(st.lists(st.integers(65536, 2**32 - 1), min_size=4, max_size=4), st.sampled_from([1, 2, 4]))
def test_coder_header_round_trip(values, lanes):
    states = np.array(values[:lanes], np.uint32)
    data = write_states(states, zero_start=False)
    found, zero_start, used = read_states(data + b"\0\0")
    np.testing.assert_array_equal(found, states)
    assert (zero_start, used) == (False, len(data))


# What an encoder refuses.


def test_a_nonzero_symbol_under_a_certain_table_is_refused():
    with pytest.raises(ArgumentError, match="certain table is not 0"):
        encode_chunk([(np.array([0, 1], np.uint8), np.array([0, 1], np.int16))], LAPLACE)


def test_a_table_outside_the_bank_is_refused():
    with pytest.raises(ArgumentError, match="table index 3 is outside"):
        encode_chunk([(np.array([3], np.uint8), np.array([0], np.int16))], LAPLACE)
    with pytest.raises(ArgumentError, match="table index 3 is outside"):
        ChunkDecoder(b"", LAPLACE).decode(np.array([3], np.uint8), last=True)


def test_a_symbol_of_minus_32768_is_refused():
    with pytest.raises(ArgumentError, match="-32768"):
        encode_chunk([(np.array([0], np.uint8), np.array([-32768], np.int16))], LAPLACE)


@pytest.mark.parametrize("symbols", [np.zeros(2, np.int32), np.zeros(3, np.int16), np.zeros((2, 1), np.int16)])
def test_arrays_of_another_type_or_shape_are_refused(symbols):
    with pytest.raises(ArgumentError, match=r"expected uint8 \[n\] and int16 \[n\]"):
        encode_chunk([(np.zeros(2, np.uint8), symbols)], LAPLACE)


def test_a_pass_too_long_for_any_chunk_is_refused():
    many = MAX_LANES * MAX_STEPS + 1
    with pytest.raises(ArgumentError, match="the limit is"):
        encode_chunk([(np.ones(many, np.uint8), np.zeros(many, np.int16))], LAPLACE)


def test_a_decoder_must_be_used_in_order():
    decoder = ChunkDecoder(b"", LAPLACE)
    with pytest.raises(ArgumentError, match="before the last pass"):
        decoder.finish()
    decoder.decode(np.array([1], np.uint8), last=True)
    with pytest.raises(ArgumentError, match="after the last"):
        decoder.decode(np.array([1], np.uint8), last=True)


# What a decoder refuses: `forge` makes payloads that a correct encoder never would.


def forge(symbols, start, tail=(), zero_start=False):
    """One pass of magnitudes 0..2 (3 = escape) under table 0 of LAPLACE with chosen start states and raw words."""
    entries = np.array([8000 << 14, 8000 << 14 | 8000, 383 << 14 | 16000, 1 << 14 | 16383], np.uint32)[symbols]
    coder = RansEncoder(np.array(start, np.uint32))
    coder.push(entries.reshape(-1, len(start)))
    return write_states(coder.states, zero_start) + np.concatenate([coder.words(), tail]).astype("<u2").tobytes()


def refuse(data, count, match, *more):
    tables = [np.zeros(size, np.uint8) for size in (count, *more)]
    with pytest.raises(StreamError, match=match):
        decode(data, tables, LAPLACE)
    with pytest.raises(RuleBrokenError):
        reference(data, tables, LAPLACE)


def test_forge_makes_a_payload_that_is_read_when_nothing_is_forged():
    assert decode(forge([0, 1, 1, 2], [65536 + 0b110]), [np.zeros(4, np.uint8)], LAPLACE)[0].tolist() == [0, 1, -1, -2]
    assert decode(forge([3], [65536 + 7]), [np.zeros(1, np.uint8)], LAPLACE)[0].tolist() == [7]


def test_an_empty_payload_with_coded_symbols():
    refuse(b"", 3, "an empty payload for 3 symbols")


def test_a_payload_where_everything_is_certain():
    data = write_states(np.array([65536], np.uint32), zero_start=False)
    with pytest.raises(StreamError, match="every symbol is certain"):
        decode(data, [np.ones(3, np.uint8)], LAPLACE)
    with pytest.raises(RuleBrokenError):
        reference(data, [np.ones(3, np.uint8)], LAPLACE)


@pytest.mark.parametrize("code", [13, 14, 15])
def test_an_unknown_lane_code(code):
    data = bytearray(forge([0], [65536]))
    data[0] |= code
    refuse(bytes(data), 1, f"lane code {code}")


@pytest.mark.parametrize("size", [1, 4, 6, 8, 10])
def test_a_coder_header_cut_short(size):
    refuse(write_states(np.full(4, 2**31, np.uint32), zero_start=False)[:size], 4, "cannot hold 4 lanes")


def test_padding_of_the_coder_header():
    data = bytearray(forge([0, 0], [65536] * 2))
    assert data[:2].hex() == "1101"  # 14 bits: 1 (two lanes), exponents 1 and 1, one bit each
    data[1] |= 0x80
    refuse(bytes(data), 2, "padding of the coder header")


def test_half_a_word():
    refuse(forge([0], [65536]) + b"\0", 1, "half a word")


def test_too_many_steps():
    refuse(forge([0], [65536]), MAX_STEPS + 1, f"expected at most {MAX_STEPS}")


def test_a_missing_word():
    refuse(forge([2] * 40, [65536])[:-2], 40, "more words than there are")


def test_words_left_over():
    refuse(forge([0], [65536], tail=[0]), 1, "1 words left, expected 0")


def test_raw_words_of_the_last_pass_missing():
    refuse(forge([3, 3], [65536 + 7]), 2, "0 words left, expected 1")


def test_raw_words_of_an_earlier_pass_missing():
    refuse(forge([3, 0], [65536]), 1, "0 words left for 1 raw words", 1)


def test_a_start_state_without_a_raw_word():
    refuse(forge([0], [65536 + 1]), 1, "does not end in its start state")


def test_a_start_state_out_of_range():
    refuse(forge([1], [2 * 65536]), 1, "does not end in its start state")


def test_padding_of_the_signs():
    refuse(forge([1], [65536 + 0b10]), 1, "padding of the sign bits")


def test_an_escape_that_its_table_holds():
    refuse(forge([3], [65536 + 2]), 1, "its table holds")


def test_an_escape_of_minus_32768():
    refuse(forge([3], [65536 + 32768]), 1, "-32768")


def test_raw_words_beside_a_zero_start():
    symbols = [0, 1] * 12
    data = forge(symbols, [1], zero_start=True)
    assert data[0] & 15 == ZERO_START
    refuse(data, len(symbols), "raw words with a lane that starts from 0")
