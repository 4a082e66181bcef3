import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeedge_runtime.errors import ArgumentError, StreamError
from aeedge_runtime.limits import MAX_SECTION_BYTES
from aeedge_runtime.stream.sections import pack_alpha, pack_names, unpack_alpha, unpack_names


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_alpha_round_trip(count, height, width, seed):
    alpha = np.random.default_rng(seed).integers(0, 256, (count, height, width)).astype(np.uint8)
    np.testing.assert_array_equal(unpack_alpha(pack_alpha(alpha), count, height, width), alpha)


def test_alpha_is_rows_less_the_row_above():
    alpha = np.array([[[10, 20], [9, 25]], [[255, 0], [0, 255]]], np.uint8)
    assert zlib.decompress(pack_alpha(alpha)) == bytes([10, 20, 255, 5, 255, 0, 1, 255])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"no zlib", "not zlib data"),
        (zlib.compress(bytes(4))[:-1], "cut short"),
        (zlib.compress(bytes(4)) + b"x", "followed by other bytes"),
        (zlib.compress(bytes(3)), "3 samples, expected 4"),
        (zlib.compress(bytes(5)), "more than 4 bytes"),
        (zlib.compress(bytes(1 << 26)), "more than 4 bytes"),
    ],
)
def test_damaged_alpha(data, match):
    with pytest.raises(StreamError, match=match):
        unpack_alpha(data, 1, 2, 2)


def test_names_round_trip():
    names = [b"a.png", b"sub folder/\xff\xfe.jpg", b"-x", b"line\nbreak", b"...x"]
    assert unpack_names(pack_names(names), 5) == names


@pytest.mark.parametrize("plain", [b"", b"a", b"a\0b", b"a\0b\0c\0"])
def test_another_number_of_names(plain):
    with pytest.raises(StreamError, match="expected 2"):
        unpack_names(zlib.compress(plain), 2)


def test_a_bomb_of_names_takes_no_more_than_its_text():
    bomb = zlib.compress(b"ab\0" * (MAX_SECTION_BYTES // 3), 9)
    assert len(bomb) < 50_000
    tracemalloc.start()
    with pytest.raises(StreamError, match="5592405 names, expected 7"):
        unpack_names(bomb, 7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_SECTION_BYTES


def test_names_beyond_their_limit():
    with pytest.raises(StreamError, match="more than 16777216 bytes"):
        unpack_names(zlib.compress(bytes(MAX_SECTION_BYTES + 1)), 1)
    with pytest.raises(ArgumentError, match="the limit is"):
        pack_names([b"%d" % i + b"x" * 4000 for i in range(4200)])
