"""The front of a stream in a file: header and sections, read without the chunks that follow."""

from __future__ import annotations

import os
from typing import BinaryIO

from ..errors import StreamError, UnsupportedStreamError
from ..files import open_regular, reason
from ..limits import MAX_CHUNKS, MAX_VARINT_BYTES
from .container import NAMES, StreamHeader, read_header
from .sections import unpack_names
from .varints import DAMAGED

_FIRST_BYTES = 4096
"""Bytes that are read first: the header of most streams has a tenth of it."""

MAX_HEADER_BYTES = 64 + MAX_VARINT_BYTES * MAX_CHUNKS + 255 * (1 + MAX_VARINT_BYTES)
"""Bytes of the longest header: fixed fields, the length of every chunk, the table of sections."""


class StreamFront:
    """Header and sections of a stream; the checksum over everything is not checked.

    Args:
        file: seekable, at the first byte of the stream; it must stay open while sections are read.

    Attributes:
        header: without what it does not state: the length of the last chunk and the hash of the symbols.

    Raises:
        UnsupportedStreamError, StreamError: as `read_header`.
        OSError: the file cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()
        self.header: StreamHeader = self._read_header()

    def section(self, section: int, most: int | None = None) -> bytes:
        """Return the first bytes of a section, or all.

        Args:
            section: one that the header lists.
            most: how many bytes; None for all.

        Raises:
            StreamError: the file ends before them.
        """
        sizes = self.header.section_bytes
        before = sum(size for key, size in sizes.items() if key < section)
        wanted = sizes[section] if most is None else min(most, sizes[section])
        self._file.seek(self._start + self.header.header_bytes + before)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise StreamError(f"stream: it ends within section {section}; {DAMAGED}")
        return data

    def _read_header(self) -> StreamHeader:
        data = b""
        for size in (_FIRST_BYTES, MAX_HEADER_BYTES):
            data += self._file.read(size - len(data))
            try:
                return read_header(data, whole=False)
            except UnsupportedStreamError:
                raise
            except StreamError:
                if len(data) < size or size == MAX_HEADER_BYTES:
                    raise
        raise ValueError("there is no header of more bytes")


def read_front(path: str | os.PathLike[str]) -> tuple[StreamHeader, list[str] | None]:
    """Return the header of a stream's file, and the names of its images if it keeps any.

    Raises:
        StreamError: not a stream, a damaged header or damaged names, or a file that cannot be read.
    """
    try:
        with open_regular(path) as file:
            front = StreamFront(file)
            if NAMES not in front.header.section_bytes:
                return front.header, None
            names = unpack_names(front.section(NAMES), front.header.count)
            return front.header, [os.fsdecode(name) for name in names]
    except (OSError, ValueError) as error:
        if isinstance(error, StreamError):
            raise
        raise StreamError(f"{os.fspath(path)}: cannot be read ({reason(error)})") from error
