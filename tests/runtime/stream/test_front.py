import io

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import Codec, StreamError, UnsupportedStreamError, stream_names
from aeedge_runtime.limits import MAX_CHUNKS
from aeedge_runtime.stream.container import ALPHA, EXIF, NAMES, TILES, Stream, read_header, write_stream
from aeedge_runtime.stream.front import MAX_HEADER_BYTES, StreamFront, read_front
from aeedge_runtime.stream.tile_grid import TileGrid
from aeedge_runtime.stream.tile_sections import PEEK_BYTES, peek_tiles


@pytest.fixture(scope="module")
def codec():
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


class Counted(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


def long_header(chunks):
    """A stream whose header takes two bytes a chunk."""
    return write_stream(Stream(bytes(8), 50, 1, 8, 8, False, (bytes(200),) * chunks, 0, {NAMES: b"12345"}))


@pytest.mark.parametrize(("chunks", "most"), [(1, 4096), (1000, 4096), (5000, 210_000)])
def test_little_more_than_the_header_is_read(chunks, most):
    data = long_header(chunks)
    file = Counted(data + bytes(1 << 23))
    front = StreamFront(file)
    assert file.count <= MAX_HEADER_BYTES
    assert chunks > 3000 or file.count <= most
    assert front.header.chunk_bytes[:-1] == read_header(data).chunk_bytes[:-1]
    assert front.section(NAMES) == b"12345"
    assert front.section(NAMES, 2) == b"12"


def test_a_stream_may_start_within_a_file():
    file = io.BytesIO(b"before" + long_header(3))
    file.seek(6)
    assert StreamFront(file).section(NAMES) == b"12345"


def test_the_longest_header_is_within_the_limit():
    assert MAX_HEADER_BYTES > 5 * MAX_CHUNKS


def test_every_cut_is_an_error(codec):
    data = codec.compress_batch([picture(24, 40, 3)] * 2, names=["a", "b"], stored_tiles=False)
    end = read_header(data).header_bytes
    for length in range(end):
        with pytest.raises(StreamError):
            StreamFront(io.BytesIO(data[:length]))
    with pytest.raises(StreamError, match="ends"):
        StreamFront(io.BytesIO(data[: end + 2])).section(NAMES)


def test_a_newer_version_is_told_at_once():
    file = Counted(b"\xaeED\x09" + bytes(10_000))
    with pytest.raises(UnsupportedStreamError):
        StreamFront(file)
    assert file.count == 4096


def test_names_are_those_of_the_stream(codec, tmp_path):
    data = codec.compress_batch([picture(24, 40, 3)] * 2, names=["a/x.png", "b"])
    (tmp_path / "x.aee").write_bytes(data)
    header, names = read_front(tmp_path / "x.aee")
    assert (header.count, names) == (2, stream_names(data))
    (tmp_path / "y.aee").write_bytes(codec.compress(picture(24, 40, 3)))
    assert read_front(tmp_path / "y.aee")[1] is None


def test_files_that_cannot_be_read_are_errors(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(StreamError, match="read"):
            read_front(path)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_first_bytes_tell_whether_all_tiles_are_stored(codec, channels):
    pixels = picture(150, 200, channels)
    pixels[:, :64] = 0
    for options, exact in (({"max_error": 0}, True), ({"quality": 80}, False)):
        data = codec.compress(pixels, **options)
        front = StreamFront(io.BytesIO(data))
        if TILES in front.header.section_bytes:
            grid = TileGrid(1, 150, 200)
            alpha, whole = peek_tiles(front.section(TILES, PEEK_BYTES), grid)
            assert whole is exact
            assert alpha is (channels == 4 and ALPHA not in front.header.section_bytes)
        else:
            assert not exact
    assert EXIF not in front.header.section_bytes
    assert np.array_equal(codec.decompress(codec.compress(pixels, max_error=0)), pixels)
