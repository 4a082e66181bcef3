"""Facts of a stream that need no model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ArgumentError, StreamError
from ..files import read_regular
from ..limits import MAX_STREAM_BYTES
from .container import ALPHA, BOUND, EXIF, ICC, NAMES, TILES, StreamHeader, read_header
from .sections import unpack_names
from .tile_grid import TileGrid
from .tile_sections import count_tiles

Data = bytes | bytearray | memoryview | str | os.PathLike[str]

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


def stream_info(data: Data) -> StreamInfo:
    """Return the facts of a stream, given as bytes or as the path of a file.

    Raises:
        StreamError: damaged, forged or not a stream.
        ArgumentError: neither bytes nor a path.
    """
    data = stream_bytes(data)
    header = read_header(data)
    grid = TileGrid(header.count, header.height, header.width)
    stored = count_tiles(_section(data, header, TILES), grid) if TILES in header.section_bytes else 0
    bound = _section(data, header, BOUND)[0] if BOUND in header.section_bytes else None
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


def stream_names(data: Data) -> list[str] | None:
    """Return the names of a stream's images, or None if it keeps none; bytes are decoded as by `os.fsdecode`.

    Raises:
        StreamError: damaged, forged or not a stream.
        ArgumentError: neither bytes nor a path.
    """
    data = stream_bytes(data)
    header = read_header(data)
    if NAMES not in header.section_bytes:
        return None
    return [os.fsdecode(name) for name in unpack_names(_section(data, header, NAMES), header.count)]


def stream_bytes(data: Data) -> bytes:
    """Return the bytes of a stream given as bytes or as a path.

    Raises:
        StreamError: the file cannot be read, or is not a regular file (read a pipe yourself and pass its bytes).
        ArgumentError: another type.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    if not isinstance(data, str | os.PathLike):
        raise ArgumentError(f"stream: found {type(data).__name__}, expected bytes or a path")
    try:
        return read_regular(data, MAX_STREAM_BYTES)
    except (OSError, ValueError) as error:
        raise StreamError(f"{os.fspath(data)}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _section(data: bytes, header: StreamHeader, section: int) -> bytes:
    first = header.header_bytes + sum(size for key, size in header.section_bytes.items() if key < section)
    return data[first : first + header.section_bytes[section]]
