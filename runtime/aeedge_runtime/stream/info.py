"""Facts of a stream that need no model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..binary import BinarySource, name_of, read_source
from ..errors import AeedgeError, StreamError
from ..files import reason
from ..limits import MAX_STREAM_BYTES
from .container import ALPHA, BOUND, EXIF, ICC, NAMES, TILES, StreamHeader, read_header
from .sections import unpack_names
from .tile_grid import TileGrid
from .tile_sections import count_tiles

_SECTIONS = {ALPHA: "alpha", ICC: "icc", EXIF: "exif", NAMES: "names", TILES: "stored tiles", BOUND: "bound"}


@dataclass(frozen=True)
class StreamInfo:
    """Facts of a stream.

    Attributes:
        stream_id: 16 hex digits, the latent space of its symbols.
        quality: 1..100.
        count: images.
        width: columns of each in pixels.
        height: rows of each in pixels.
        gray: decoded images are gray.
        total_bytes: the whole stream.
        payload_bytes: coded symbols.
        section_bytes: bytes of each optional section by name.
        chunks: independent pieces of the payload.
        bits_per_pixel: all bits of the stream per pixel of all images.
        tiles: tiles of all images, 64 pixels square but at the ends.
        stored_tiles: those that are stored exactly, or, under a bound, within it.
        max_error: no sample of color is off by more: what the writer vouches for, 0 where all tiles are stored exactly;
            None where there is no bound.
    """

    stream_id: str
    quality: int
    count: int
    width: int
    height: int
    gray: bool
    total_bytes: int
    payload_bytes: int
    section_bytes: Mapping[str, int]
    chunks: int
    bits_per_pixel: float
    tiles: int
    stored_tiles: int
    max_error: int | None


def stream_info(data: BinarySource) -> StreamInfo:
    """Return the facts of a stream: a path, bytes, or a file opened for reading.

    Raises:
        StreamError: damaged, forged or not a stream.
        ArgumentError: another type.
    """
    data = stream_bytes(data)
    header = read_header(data)
    grid = TileGrid(header.count, header.height, header.width)
    stored = count_tiles(read_section(data, header, TILES), grid) if TILES in header.section_bytes else 0
    bound = read_section(data, header, BOUND)[0] if BOUND in header.section_bytes else None
    return StreamInfo(
        stream_id=header.stream_id.hex(),
        quality=header.quality,
        count=header.count,
        width=header.width,
        height=header.height,
        gray=header.gray,
        total_bytes=len(data),
        payload_bytes=sum(header.chunk_bytes),
        section_bytes={_SECTIONS.get(key, f"section {key}"): size for key, size in header.section_bytes.items()},
        chunks=len(header.chunk_bytes),
        bits_per_pixel=8 * len(data) / (header.count * header.width * header.height),
        tiles=grid.tiles,
        stored_tiles=stored,
        max_error=0 if bound is None and stored == grid.tiles else bound,
    )


def stream_names(data: BinarySource) -> list[str] | None:
    """Return the names of a stream's images, or None if it keeps none; bytes are decoded as by `os.fsdecode`.

    Raises:
        StreamError: damaged, forged or not a stream.
        ArgumentError: another type.
    """
    data = stream_bytes(data)
    header = read_header(data)
    if NAMES not in header.section_bytes:
        return None
    return [os.fsdecode(name) for name in unpack_names(read_section(data, header, NAMES), header.count)]


def stream_bytes(data: BinarySource) -> bytes:
    """Return the bytes of a stream: a path, bytes or another buffer, or a file opened for reading.

    Raises:
        StreamError: the file cannot be read, or is not a regular file (read a pipe yourself and pass its bytes).
        ArgumentError: another type.
    """
    try:
        return read_source(data, MAX_STREAM_BYTES, "stream")
    except AeedgeError:
        raise
    except (OSError, ValueError) as error:
        raise StreamError(f"{name_of(data, 'stream')}: cannot be read ({reason(error)})") from error


def read_section(data: bytes, header: StreamHeader, section: int) -> bytes:
    """Return the bytes of a section that a header lists; fewer where the stream is cut short."""
    first = header.header_bytes + sum(size for key, size in header.section_bytes.items() if key < section)
    return data[first : first + header.section_bytes[section]]
