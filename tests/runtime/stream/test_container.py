"""Streams: round trips, golden bytes, damage, and one test per way a stream can lie with its checksums right."""

import binascii
import struct
import zlib

import numpy as np
import pytest
from example_tables import mixed_bank, reference_tables
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_decoder import Model, RuleBrokenError, decode_stream

from aeedge_runtime.entropy.bank import FrequencyBank
from aeedge_runtime.entropy.chunk import encode_chunk, hash_symbols
from aeedge_runtime.errors import ArgumentError, LimitError, StreamError, UnsupportedStreamError, WrongModelError
from aeedge_runtime.limits import MAX_COUNT, MAX_DIMENSION, MAX_SECTION_BYTES
from aeedge_runtime.stream import container
from aeedge_runtime.stream.container import (
    ALPHA,
    EXIF,
    ICC,
    MAX_QUALITY,
    Stream,
    read_header,
    read_stream,
    write_stream,
    write_varint,
)
from aeedge_runtime.stream.layout import Geometry

STREAM_ID = bytes(range(8))
GEOMETRY = Geometry((4, 4), 2)
EMPTY = Stream(STREAM_ID, 50, 1, 4, 4, gray=False, chunks=(b"",), symbol_hash=0)


def geometry_for(header):
    return GEOMETRY


def read(data):
    return read_stream(data, geometry_for=geometry_for)


def table_indices(symbols, bank: FrequencyBank):
    """The first table that holds each symbol, the certain one for 0."""
    return np.where(symbols == 0, 0, np.where(abs(symbols) < 4, 2, 4)).astype(np.uint8)


def golden_stream():
    """Three images of 7x9 pixels, [3, 2, 3, 2] symbols, with sections."""
    symbols = ((np.arange(36) * 37) % 11 - 5).astype(np.int16)
    bank = mixed_bank()
    payload = encode_chunk([(table_indices(symbols, bank), symbols)], bank)
    sections = {ICC: b"profile", 200: b"?"}
    return Stream(STREAM_ID, 50, 3, 7, 9, True, (payload,), hash_symbols(symbols), sections), symbols


GOLDEN = bytes.fromhex(
    "ae4544010300010203040506073203070901020207c801763f70726f66696c653f200266c1101e06"
    "814401df9e1a41e31e7e0115c1b65f7141b4d20000c22363f4e3e5d00e"
)


def test_golden_bytes():
    stream, _ = golden_stream()
    assert write_stream(stream).hex() == GOLDEN.hex()
    assert read(GOLDEN) == stream


def test_the_reference_decoder_reads_the_golden_stream():
    stream, symbols = golden_stream()
    bank = mixed_bank()
    indices = table_indices(symbols, bank).tolist()
    model = Model(STREAM_ID, (4, 4), 2)
    found = decode_stream(GOLDEN, model, reference_tables(bank), lambda quality, span, done: (indices, True))
    assert found.chunks == [[symbols.tolist()]]
    assert (found.quality, found.count, found.width, found.height, found.gray) == (50, 3, 7, 9, True)
    assert found.sections == stream.sections


@given(
    st.integers(1, MAX_QUALITY),
    st.integers(1, 9),
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.booleans(),
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from([1, 2, 3, 4, 128, 255]), st.binary(min_size=1, max_size=200)),
)
@settings(max_examples=100, deadline=None)
def test_round_trip(quality, count, size, gray, payload, sections):
    stream = Stream(STREAM_ID, quality, count, *size, gray, (payload,), 0xDEADBEEF, sections)
    data = write_stream(stream)
    found = read(data)
    assert found == stream
    assert list(found.sections) == sorted(sections)
    header = read_header(memoryview(data))
    assert header.chunk_bytes == (len(payload),)
    assert header.section_bytes == {section: len(content) for section, content in sections.items()}
    assert header.header_bytes + sum(header.section_bytes.values()) + len(payload) + 8 == len(data)


def test_at_most_32_bytes_around_the_payload_of_a_photo():
    stream = Stream(STREAM_ID, 50, 1, MAX_DIMENSION, MAX_DIMENSION, False, (bytes(100_000),), 1)
    assert len(write_stream(stream)) - 100_000 <= 32


def test_every_truncation_is_refused():
    for size in range(len(GOLDEN)):
        with pytest.raises(StreamError):
            read(GOLDEN[:size])


def test_every_flipped_bit_is_refused():
    for bit in range(8 * len(GOLDEN)):
        changed = bytearray(GOLDEN)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StreamError):
            read(bytes(changed))


@pytest.mark.parametrize("more", [b"\0", b"\n", GOLDEN])
def test_appended_bytes_are_refused(more):
    with pytest.raises(StreamError, match="checksum"):
        read(GOLDEN + more)


def test_what_is_no_stream_is_called_so():
    for data in (b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"EED" + bytes(50)):
        with pytest.raises(StreamError, match="not an aeedge stream"):
            read_header(data)


def test_the_geometry_is_asked_for_after_the_checks_and_may_refuse():
    def refuse(header):
        assert header.stream_id == STREAM_ID
        raise WrongModelError("another model")

    with pytest.raises(WrongModelError):
        read_stream(GOLDEN, geometry_for=refuse)
    with pytest.raises(StreamError):
        read_stream(GOLDEN[:-1], geometry_for=refuse)


def test_sizes_beyond_the_limit_of_pixels():
    with pytest.raises(LimitError, match="the limit is 100"):
        read_stream(GOLDEN, geometry_for=geometry_for, max_pixels=100)
    bomb = write_stream(Stream(STREAM_ID, 50, MAX_COUNT, MAX_DIMENSION, MAX_DIMENSION, False, (b"",), 0))
    with pytest.raises(LimitError, match="raise max_pixels"):
        read(bomb)


# What a writer refuses.


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"stream_id": b"short"}, "stream id of 5 bytes"),
        ({"quality": 0}, "quality 0"),
        ({"quality": 101}, "quality 101"),
        ({"count": 0}, "count 0"),
        ({"count": MAX_COUNT + 1}, "count"),
        ({"width": 0}, "width 0"),
        ({"height": MAX_DIMENSION + 1}, "height 65536"),
        ({"chunks": ()}, "0 chunks, expected 1..1048576"),
        ({"chunks": (b"",) * (2**20 + 1)}, "1048577 chunks, expected"),
        ({"sections": {0: b"x"}}, "section 0"),
        ({"sections": {7: b"x"}}, "section 7"),
        ({"sections": {256: b"x"}}, "section 256"),
        ({"sections": {EXIF: b""}}, "section 3 of 0 bytes"),
        ({"sections": {EXIF: bytes(MAX_SECTION_BYTES + 1)}}, "section 3 of 16777217 bytes"),
    ],
)
def test_a_writer_refuses_what_a_reader_would(change, match):
    with pytest.raises(ArgumentError, match=match):
        write_stream(Stream(**{**vars(EMPTY), **change}))


def test_a_writer_keeps_a_stream_within_its_limit(monkeypatch):
    monkeypatch.setattr(container, "MAX_STREAM_BYTES", 100)
    assert len(write_stream(Stream(**{**vars(EMPTY), "chunks": (bytes(72),)}))) == 100
    with pytest.raises(ArgumentError, match="101 bytes, the limit is 100"):
        write_stream(Stream(**{**vars(EMPTY), "chunks": (bytes(73),)}))


# What a reader refuses: `seal` makes streams whose checksums are right and whose fields are not.


def seal(fields, body=b"", *, version=1, flags=0, header_check=None):
    header = b"\xaeED" + bytes([version, flags]) + fields
    check = binascii.crc_hqx(header, 0xFFFF) if header_check is None else header_check
    data = header + struct.pack("<H", check) + body + bytes(4)
    return data + struct.pack("<I", zlib.crc32(data))


def fields(quality=50, count=1, width=4, height=4, chunks=(0,), number=None):
    values = [count, width, height, len(chunks) if number is None else number, *chunks[:-1]]
    return STREAM_ID + bytes([quality]) + b"".join(write_varint(value) for value in values)


def refuse(data, match, error=StreamError):
    with pytest.raises(error, match=match):
        read(data)
    model = Model(STREAM_ID, (4, 4), 2)
    with pytest.raises(RuleBrokenError):
        decode_stream(data, model, [], lambda quality, span, done: ([], True))


def test_seal_makes_a_valid_stream_when_nothing_is_forged():
    assert seal(fields()) == write_stream(EMPTY)
    assert read(seal(fields())) == EMPTY


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_unknown_version(version):
    refuse(seal(fields(), version=version), f"version {version}", UnsupportedStreamError)


@pytest.mark.parametrize("flags", [4, 8, 128])
def test_an_unknown_flag(flags):
    refuse(seal(fields(), flags=flags), "unknown flags", UnsupportedStreamError)


def test_a_stream_too_short():
    refuse(b"\xaeED\1" + bytes(23), "27 bytes, expected 28")


def test_a_wrong_header_check():
    refuse(seal(fields(), header_check=0), "does not match its check")


def test_a_wrong_checksum():
    refuse(seal(fields())[:-4] + bytes(4), "checksum")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"quality": 0}, "quality 0, expected 1..100"),
        ({"quality": 101}, "quality 101"),
        ({"count": 0}, "count 0"),
        ({"count": MAX_COUNT + 1}, "count 16777217"),
        ({"width": 0}, "width 0"),
        ({"width": MAX_DIMENSION + 1}, "width 65536"),
        ({"height": 0}, "height 0"),
        ({"height": 2**32 - 1}, "height 4294967295"),
    ],
)
def test_a_field_out_of_range(change, match):
    refuse(seal(fields(**change)), match)


@pytest.mark.parametrize("place", range(9, 13))
def test_a_varint_not_in_its_shortest_form(place):
    whole = fields(width=3)
    assert all(byte < 128 for byte in whole[9:])
    longer = whole[:place] + bytes([whole[place] | 128, 0]) + whole[place + 1 :]
    refuse(seal(longer), "shortest form")


def test_a_varint_longer_than_five_bytes():
    refuse(seal(STREAM_ID + b"\x32" + b"\x80" * 5 + b"\x01" + bytes(4)), "longer than 5 bytes")


def test_a_header_that_does_not_end():
    data = b"\xaeED\1\0" + STREAM_ID + b"\x32\x01\x04\x80\x80\x80\x80" + bytes(4)
    refuse(data + struct.pack("<I", zlib.crc32(data)), "0 bytes where the height needs 1")


def test_no_chunk():
    refuse(seal(fields(number=0)), "no chunk")


@pytest.mark.parametrize("chunks", [(0, 0), (0,) * 100])
def test_more_chunks_than_the_sizes_give(chunks):
    refuse(seal(fields(chunks=chunks)), f"{len(chunks)} chunks, expected 1")


def test_fewer_chunks_than_the_sizes_give():
    refuse(seal(fields(count=2**20)), "1 chunks, expected 2")


def test_more_chunks_than_any_stream_has():
    refuse(seal(fields(number=2**20 + 1), bytes(2**20 + 1)), "1048577 chunks in")


@pytest.mark.parametrize("number", [100, 2**31, 2**35 - 1])
def test_a_number_of_chunks_beyond_the_bytes(number):
    refuse(seal(fields(number=number)), f"{number} chunks in")


@pytest.mark.parametrize("length", [1, 2**31, 2**35 - 1])
def test_a_chunk_longer_than_the_stream(length):
    refuse(seal(fields(chunks=(length, 0))), f"{length} bytes longer than the stream")


def section_table(*sections, number=None):
    found = write_varint(len(sections) if number is None else number)
    return found + b"".join(bytes([section]) + write_varint(size) for section, size in sections)


def refuse_sections(table, match, error=StreamError, body=b"xy"):
    refuse(seal(fields() + table, body, flags=1), match, error)


def test_no_section_with_the_flag_for_sections():
    refuse_sections(section_table(), "0 sections")


def test_more_sections_than_there_are_ids():
    refuse_sections(section_table((1, 2), number=256), "256 sections")


def test_sections_in_another_order():
    refuse_sections(section_table((ICC, 1), (ALPHA, 1)), "section 1 after section 2")


def test_a_section_twice():
    refuse_sections(section_table((ICC, 1), (ICC, 1)), "section 2 after section 2")


@pytest.mark.parametrize("section", [0, 7, 127])
def test_an_unknown_section(section):
    refuse_sections(section_table((section, 2)), f"unknown section {section}", UnsupportedStreamError)


def test_an_empty_section():
    refuse_sections(section_table((ICC, 0), (EXIF, 2)), "section 2 of 0 bytes")


def test_a_section_beyond_its_limit():
    refuse_sections(section_table((ICC, MAX_SECTION_BYTES + 1)), "section 2 of 16777217 bytes")


def test_a_section_longer_than_the_stream():
    refuse_sections(section_table((ICC, 3)), "1 bytes longer than the stream")


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_random_fields_with_right_checksums_raise_nothing_else(content):
    for flags in (0, 1):
        try:
            read(seal(content, flags=flags))
        except (StreamError, LimitError):
            continue
