"""Bytes from whatever callers pass for a file: paths, URLs, buffers, open files and members of archives."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Protocol, TypeAlias, TypeGuard

from .errors import ArgumentError
from .files import open_regular, read_regular
from .remote import RemotePath, location

EXPECTED = "a path, bytes or another buffer, or a file opened for reading in binary mode"


class ReadableFile(Protocol):
    """A file opened for reading in binary mode."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, or the rest."""


class Member(Protocol):
    """A file that is not on disk, such as a `zipfile.Path` or a resource of a package."""

    def open(self, mode: str, /) -> Any:
        """Open it."""

    def read_bytes(self) -> bytes:
        """Return all of it."""


Path: TypeAlias = str | os.PathLike[str] | os.PathLike[bytes]
Buffer: TypeAlias = bytes | bytearray | memoryview
BinarySource: TypeAlias = Path | Buffer | ReadableFile | Member
"""Any buffer is accepted, `mmap.mmap` for one; the alias names those that have a type before Python 3.12."""


def is_path(source: object) -> TypeGuard[Path]:
    """Return whether an object names a file."""
    return isinstance(source, str | os.PathLike)


def is_binary(source: object) -> TypeGuard[BinarySource]:
    """Return whether `read_source` takes an object; arrays, which are buffers too, are left to the caller."""
    return is_path(source) or _as_buffer(source) is not None or _is_file(source) or _is_member(source)


def name_of(source: object, kind: str) -> str:
    """Return the name of a source for messages: its path, or the kind of bytes that it holds."""
    if is_path(source):
        return os.fsdecode(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else f"{kind} bytes"


def open_source(source: BinarySource, limit: int, what: str) -> BinaryIO:
    """Open a source for reading from its start; what is not a local path is read into memory first.

    Args:
        source: path, URL, buffer, open file or member of an archive.
        limit: most bytes; one more is read where there are more, so that the caller can refuse them.
        what: the argument, for messages.

    Raises:
        ArgumentError: another type, or a file opened as text.
        NotRegularFileError: a path of a FIFO or a device.
        OSError, ValueError: it cannot be opened or read.
    """
    from io import BytesIO

    path = location(source) if is_path(source) else None
    if path is not None and not isinstance(path, RemotePath):
        return open_regular(path)
    return BytesIO(read_source(source, limit, what))


def read_source(source: BinarySource, limit: int, what: str) -> bytes:
    """Return the bytes of a source; arguments and errors as in `open_source`, and an OSError for a larger file."""
    if isinstance(source, bytes):
        return source
    if is_path(source):
        path = location(source)
        return path.read_bytes(limit) if isinstance(path, RemotePath) else read_regular(path, limit)
    buffer = _as_buffer(source)
    if buffer is not None:
        flat = buffer.cast("B") if buffer.nbytes and buffer.c_contiguous else memoryview(buffer.tobytes())
        return bytes(flat[: limit + 1])
    if _is_file(source):
        return _read(source, limit, what)
    if _is_member(source):
        with source.open("rb") as file:
            return _read(file, limit, what)
    raise ArgumentError(f"{what}: found {type(source).__name__}, expected {EXPECTED}")


def _read(file: ReadableFile, limit: int, what: str) -> bytes:
    """Read to the end: a socket or a pipe may return less than was asked for."""
    parts: list[bytes] = []
    left = limit + 1
    while left > 0:
        part = file.read(left)
        if not isinstance(part, bytes | bytearray | memoryview):
            raise ArgumentError(f"{what}: found a file that returns {type(part).__name__}, expected {EXPECTED}")
        if not part:
            break
        parts.append(bytes(part))
        left -= len(part)
    return b"".join(parts)


def _as_buffer(source: object) -> memoryview | None:
    try:
        return memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        return None


def _is_file(source: object) -> TypeGuard[ReadableFile]:
    return callable(getattr(source, "read", None))


def _is_member(source: object) -> TypeGuard[Member]:
    return callable(getattr(source, "open", None)) and callable(getattr(source, "read_bytes", None))
