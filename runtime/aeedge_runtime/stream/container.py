"""The `.aee` container: header, sections, chunks and checksums. FORMAT.md is its specification.

`read_header` needs no model; `read_stream` asks for the model's geometry once it knows the stream id.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..errors import ArgumentError, StreamError, UnsupportedStreamError
from ..limits import (
    MAX_CHUNKS,
    MAX_COUNT,
    MAX_DIMENSION,
    MAX_PIXELS,
    MAX_SECTION_BYTES,
    MAX_STREAM_BYTES,
)
from ..profiling import staged
from .layout import Geometry, check_size, chunk_spans
from .tile_grid import TileGrid
from .tile_sections import Bound, TileBlobs, unpack_bound, unpack_tiles
from .varints import DAMAGED, Cursor, write_varint

SIGNATURE = b"\xaeED"
VERSION = 1
STREAM_ID_BYTES = 8
MAX_QUALITY = 100

ALPHA, ICC, EXIF, NAMES, TILES, BOUND = 1, 2, 3, 4, 5, 6
FIRST_SKIPPABLE_SECTION = 128

_FLAG_SECTIONS, _FLAG_GRAY = 1, 2
_CHECK_BYTES, _TRAILER_BYTES = 2, 8
_LEAST_BYTES = 28  # one image in one empty chunk


@dataclass(frozen=True)
class StreamHeader:
    """Facts that a stream states before its payload.

    Attributes:
        stream_id: 8 bytes, the latent space the symbols belong to.
        quality: 1..100.
        count: images.
        width: columns of each image in pixels.
        height: rows of each image in pixels.
        gray: the source was gray; a color model's pixels are to be written as gray.
        chunk_bytes: length of each chunk payload.
        section_bytes: length of each section by its id.
        header_bytes: length of the header, its check included; what follows is sections, chunks and 8 bytes.
        symbol_hash: CRC-32 of all symbols.
    """

    stream_id: bytes
    quality: int
    count: int
    width: int
    height: int
    gray: bool
    chunk_bytes: tuple[int, ...]
    section_bytes: Mapping[int, int]
    header_bytes: int
    symbol_hash: int


@dataclass(frozen=True)
class Stream:
    """A whole stream; fields as in StreamHeader, with the bytes of chunks and sections (sections by ascending id).

    Attributes:
        tiles: what section TILES holds, or None; read from there.
        bound: what section BOUND holds, or None; read from there.
    """

    stream_id: bytes
    quality: int
    count: int
    width: int
    height: int
    gray: bool
    chunks: tuple[bytes, ...]
    symbol_hash: int
    sections: Mapping[int, bytes] = field(default_factory=dict)
    tiles: TileBlobs | None = None
    bound: Bound | None = None

    @property
    def has_symbols(self) -> bool:
        """Whether there is a learned part: not every tile is stored."""
        return self.tiles is None or not self.tiles.whole

    @property
    def has_alpha(self) -> bool:
        """Whether the images have alpha."""
        return ALPHA in self.sections or (self.tiles is not None and self.tiles.alpha)


@staged("write_container")
def write_stream(stream: Stream) -> bytes:
    """Bytes of a stream.

    Raises:
        ArgumentError: a field outside its range; the message names it.
    """
    _check_fields(stream, ArgumentError, "use a value in the range")
    if not 1 <= len(stream.chunks) <= MAX_CHUNKS:
        raise ArgumentError(
            f"a stream of {len(stream.chunks)} chunks, expected 1..{MAX_CHUNKS}; put fewer images in it"
        )
    for section, data in stream.sections.items():
        if not _is_known(section) or not 1 <= len(data) <= _most_bytes(section):
            raise ArgumentError(
                f"section {section} of {len(data)} bytes, expected id 1..6 or 128..255, 1..{_most_bytes(section)} bytes"
            )
    sections = sorted(stream.sections.items())
    flags = _FLAG_SECTIONS * bool(sections) | _FLAG_GRAY * stream.gray
    header = bytearray(SIGNATURE + bytes([VERSION, flags]) + stream.stream_id + bytes([stream.quality]))
    for value in (stream.count, stream.width, stream.height, len(stream.chunks), *map(len, stream.chunks[:-1])):
        header += write_varint(value)
    if sections:
        header += write_varint(len(sections))
        for section, data in sections:
            header += bytes([section]) + write_varint(len(data))
    header += struct.pack("<H", binascii.crc_hqx(header, 0xFFFF))
    body = b"".join([header, *(data for _, data in sections), *stream.chunks, struct.pack("<I", stream.symbol_hash)])
    if len(body) + 4 > MAX_STREAM_BYTES:
        raise ArgumentError(
            f"a stream of {len(body) + 4} bytes, the limit is {MAX_STREAM_BYTES}; put fewer images in it"
        )
    return body + struct.pack("<I", zlib.crc32(body))


def read_header(data: bytes | memoryview, *, whole: bool = True) -> StreamHeader:
    """Read the header of a stream and check everything that needs no model.

    Args:
        data: the stream.
        whole: check the rest as well; if not, `data` may end anywhere after the header, and what the header does not
            state is left at 0: the length of the last chunk and the hash of the symbols.

    Raises:
        UnsupportedStreamError: a version, flag or section that this reader does not know.
        StreamError: the stream is damaged, forged or not a stream.
    """
    _check_outside(data, whole)
    cursor = Cursor(data, len(SIGNATURE) + 2, len(data) - _TRAILER_BYTES * whole)
    flags = data[len(SIGNATURE) + 1]
    stream_id = bytes(cursor.take(STREAM_ID_BYTES, "stream id"))
    quality = cursor.byte("quality")
    count, width, height = (cursor.varint(what) for what in ("image count", "width", "height"))
    chunks = cursor.varint("chunk count")
    if not chunks:
        raise StreamError(f"stream: no chunk, expected at least one; {DAMAGED}")
    if chunks > MAX_CHUNKS or chunks - 1 > cursor.left():
        raise StreamError(f"stream: {chunks} chunks in {cursor.left()} bytes; {DAMAGED}")
    lengths = [cursor.varint("chunk length") for _ in range(chunks - 1)]
    sections = _read_section_table(cursor) if flags & _FLAG_SECTIONS else {}
    found = binascii.crc_hqx(bytes(data[: cursor.position]), 0xFFFF)
    if found != struct.unpack("<H", cursor.take(_CHECK_BYTES, "header check"))[0]:
        raise StreamError(f"stream: the header does not match its check; {DAMAGED}")
    rest = cursor.left() - sum(lengths) - sum(sections.values()) if whole else 0
    if rest < 0:
        raise StreamError(f"stream: sections and chunks are {-rest} bytes longer than the stream; {DAMAGED}")
    symbol_hash = struct.unpack("<I", data[-_TRAILER_BYTES:-4])[0] if whole else 0
    gray = bool(flags & _FLAG_GRAY)
    header = StreamHeader(
        stream_id, quality, count, width, height, gray, (*lengths, rest), sections, cursor.position, symbol_hash
    )
    _check_fields(header, StreamError, DAMAGED)
    return header


def read_stream(
    data: bytes | memoryview,
    *,
    geometry_for: Callable[[StreamHeader], Geometry],
    max_pixels: int = MAX_PIXELS,
) -> Stream:
    """Read a whole stream, allocating no more than its own bytes.

    Args:
        data: the stream, nothing before and nothing after it.
        geometry_for: returns the geometry of the model for this header, or raises WrongModelError.
        max_pixels: most pixels of one decode, padding included.

    Raises:
        UnsupportedStreamError: a version, flag or section that this reader does not know.
        StreamError: the stream is damaged, forged or not a stream.
        LimitError: more pixels than `max_pixels`, or rows too wide for a chunk.
        WrongModelError: from `geometry_for`.
    """
    header = read_header(data)
    geometry = geometry_for(header)
    check_size(geometry, header.count, header.height, header.width, max_pixels)
    cursor = Cursor(data, header.header_bytes, len(data) - _TRAILER_BYTES)
    sections = {section: bytes(cursor.take(size, "section")) for section, size in header.section_bytes.items()}
    tiles, bound = tile_sections(header, sections)
    spans = len(chunk_spans(geometry, header.count, *geometry.latent_size(header.height, header.width)))
    expected = 1 if tiles is not None and tiles.whole else spans
    if len(header.chunk_bytes) != expected:
        raise StreamError(f"stream: {len(header.chunk_bytes)} chunks, expected {expected} for these sizes; {DAMAGED}")
    chunks = tuple(bytes(cursor.take(size, "chunk")) for size in header.chunk_bytes)
    stream = Stream(
        header.stream_id,
        header.quality,
        header.count,
        header.width,
        header.height,
        header.gray,
        chunks,
        header.symbol_hash,
        sections,
        tiles,
        bound,
    )
    _check_without_symbols(stream)
    return stream


def tile_sections(header: StreamHeader, sections: Mapping[int, bytes]) -> tuple[TileBlobs | None, Bound | None]:
    """Return what sections 5 and 6 hold, up to what is in their blobs.

    Args:
        header: of a stream whose size is within the reader's limits.
        sections: the bytes of these sections at least.

    Raises:
        UnsupportedStreamError, StreamError: as `read_stream`.
    """
    grid = TileGrid(header.count, header.height, header.width)
    tiles = unpack_tiles(sections[TILES], grid) if TILES in sections else None
    if tiles is not None and tiles.alpha and ALPHA in header.section_bytes:
        raise StreamError(f"stream: alpha both in section {ALPHA} and in stored tiles; {DAMAGED}")
    return tiles, unpack_bound(sections[BOUND], grid, tiles) if BOUND in sections else None


def _check_without_symbols(stream: Stream) -> None:
    """Refuse symbols of images that have none."""
    if not stream.has_symbols and (stream.chunks != (b"",) or stream.symbol_hash):
        raise StreamError(
            f"stream: {len(stream.chunks[0])} bytes of symbols, hash {stream.symbol_hash:08x}, where every tile is "
            f"stored, expected none; {DAMAGED}"
        )


def _check_outside(data: bytes | memoryview, whole: bool) -> None:
    """Length, signature, version, checksum over everything, flags: what comes before any field."""
    start = bytes(data[: len(SIGNATURE)])
    if start != SIGNATURE[: len(start)] or not len(data):
        raise StreamError("not an aeedge stream: it does not start with the signature of a .aee file")
    if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] != VERSION:
        raise UnsupportedStreamError(
            f"stream of version {data[len(SIGNATURE)]}, this reader knows version {VERSION}; update aeedge"
        )
    if not _LEAST_BYTES * whole <= len(data) <= MAX_STREAM_BYTES:
        raise StreamError(f"stream: {len(data)} bytes, expected {_LEAST_BYTES}..{MAX_STREAM_BYTES}; {DAMAGED}")
    if whole and zlib.crc32(memoryview(data)[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise StreamError(f"stream: the bytes do not match their checksum; {DAMAGED}")
    if len(data) <= len(SIGNATURE) + 1:
        raise StreamError(f"stream: {len(data)} bytes, cut short; {DAMAGED}")
    flags = data[len(SIGNATURE) + 1]
    if flags & ~(_FLAG_SECTIONS | _FLAG_GRAY):
        raise UnsupportedStreamError(f"stream with unknown flags 0x{flags:02x}; update aeedge")


def _read_section_table(cursor: Cursor) -> dict[int, int]:
    sections: dict[int, int] = {}
    count = cursor.varint("section count")
    if not 1 <= count <= 255:
        raise StreamError(f"stream: {count} sections, expected 1..255; {DAMAGED}")
    for _ in range(count):
        section = cursor.byte("section id")
        if sections and section <= max(sections):
            raise StreamError(f"stream: section {section} after section {max(sections)}, expected ascending; {DAMAGED}")
        if not _is_known(section):
            raise UnsupportedStreamError(f"stream with unknown section {section}; update aeedge")
        sections[section] = cursor.varint("section length")
        most = _most_bytes(section)
        if not 1 <= sections[section] <= most:
            raise StreamError(f"stream: section {section} of {sections[section]} bytes, expected 1..{most}; {DAMAGED}")
    return sections


def _most_bytes(section: int) -> int:
    """Bytes that a section may have: pixels take more than metadata does."""
    return MAX_STREAM_BYTES if section in (TILES, BOUND) else MAX_SECTION_BYTES


def _is_known(section: int) -> bool:
    return ALPHA <= section <= BOUND or FIRST_SKIPPABLE_SECTION <= section <= 255


def _check_fields(stream: Stream | StreamHeader, error: type[StreamError] | type[ArgumentError], remedy: str) -> None:
    if len(stream.stream_id) != STREAM_ID_BYTES:
        raise error(f"stream id of {len(stream.stream_id)} bytes, expected {STREAM_ID_BYTES}; {remedy}")
    limits = {"quality": MAX_QUALITY, "count": MAX_COUNT, "width": MAX_DIMENSION, "height": MAX_DIMENSION}
    for name, most in limits.items():
        value = getattr(stream, name)
        if not 1 <= value <= most:
            raise error(f"stream: {name} {value}, expected 1..{most}; {remedy}")
