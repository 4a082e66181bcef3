"""TIFF directories, byte by byte: EXIF blocks, and the tags of TIFF files that correspond to them.

Bytes that are kept are copied, not encoded again. An EXIF block is a small TIFF file: a header (byte order, 42, offset
of the first directory), and directories of entries of 12 bytes: tag, kind, number of values, and the values or, where
those have more than four bytes, their offset. A BigTIFF has 43 in place of 42, entries of 20 bytes and 8-byte offsets.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from ..limits import MAX_SECTION_BYTES

EXIF_PREFIX = b"Exif\x00\x00"
"""Precedes the TIFF bytes of an EXIF block where Pillow holds one."""

ORIENTATION = 0x0112
"""How the image must be rotated or flipped, 1 (not at all) .. 8."""

DESCRIPTIVE = frozenset((0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298))
"""Tags that TIFF files share with EXIF: description, make, model, software, time, artist, copyright."""

FOLDERS = frozenset((0x8769, 0x8825))
"""Tags that lead to a directory of their own: camera settings, and GPS position."""

POINTERS = FOLDERS | {0xA005, 0x014A}
"""Tags whose value is an offset: what they lead to is copied, or they are left out."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its kind."""

_INTEGERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Kinds of integers, and how they are packed."""

_LONG = 4


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: its tag, the kind and number of its values, and the offset of their bytes."""

    tag: int
    kind: int
    count: int
    offset: int

    @property
    def size(self) -> int:
        """Total bytes of the values."""
        return _SIZES[self.kind] * self.count


class Directories:
    """The directories of an EXIF block or a TIFF file.

    Args:
        file: the block or file.

    Raises:
        ValueError: it is neither.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_SECTION_BYTES
        header = self._bytes(0, 4)
        if header not in _HEADERS:
            raise ValueError("their file is not a TIFF")
        self.order, wide = _HEADERS[header]
        self._count, self._pointer, self._inside, first = ("Q", "Q", 8, 8) if wide else ("H", "I", 4, 4)
        self._line = struct.Struct(f"{self.order}HH{self._pointer}{self._inside}s")
        (self.first,) = self._numbers(self._pointer, first)

    def chain(self) -> Iterator[int]:
        """Yield the offsets of the directories of all pages: each leads to the next, until one is 0 or repeats.

        Raises:
            ValueError: the data ends too early.
        """
        offset, seen = self.first, set[int]()
        while offset and offset not in seen:
            seen.add(offset)
            yield offset
            (offset,) = self._numbers(self._pointer, self._behind(offset, self.count(offset)))

    def count(self, offset: int) -> int:
        """Return how many entries the directory at an offset has."""
        (count,) = self._numbers(self._count, offset)
        return count

    def entries(self, offset: int) -> Iterator[Entry]:
        """Yield the entries of the directory at an offset; those of unknown kinds are left out.

        Raises:
            ValueError: the data ends too early.
        """
        count = self.count(offset)
        start = self._behind(offset, 0)
        for tag, kind, number, value in self._line.iter_unpack(self._bytes(start, self._line.size * count)):
            start += self._line.size
            if kind in _SIZES:
                inside = _SIZES[kind] * number <= self._inside
                yield Entry(tag, kind, number, start - self._inside if inside else self._unpacked(value))

    def values(self, entry: Entry) -> bytes:
        """Return the bytes of an entry's values.

        Raises:
            ValueError: they are missing, or together with those read before larger than an EXIF block may be.
        """
        self._left -= entry.size
        if self._left < 0:
            raise ValueError("they are more than 16 MiB")
        return self._bytes(entry.offset, entry.size)

    def number(self, entry: Entry) -> int:
        """Return the value of an entry that has one, an integer; else raise ValueError."""
        if entry.kind not in _INTEGERS or entry.count != 1:
            raise ValueError(f"tag {entry.tag} has values of an unexpected type")
        (value,) = self._numbers(_INTEGERS[entry.kind], entry.offset)
        return value

    def _behind(self, offset: int, count: int) -> int:
        """Return the offset behind `count` entries of the directory at an offset."""
        return offset + struct.calcsize(f"<{self._count}") + self._line.size * count

    def _unpacked(self, value: bytes) -> int:
        (offset,) = struct.unpack(self.order + self._pointer, value)
        return int(offset)

    def _numbers(self, kinds: str, offset: int) -> tuple[int, ...]:
        return struct.unpack(self.order + kinds, self._bytes(offset, struct.calcsize(self.order + kinds)))

    def _bytes(self, offset: int, size: int) -> bytes:
        if size > MAX_SECTION_BYTES or offset > sys.maxsize:
            raise ValueError("they are cut short, or more than 16 MiB")
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) < size:
            raise ValueError("they are cut short")
        return data


_HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
"""First bytes -> byte order, and whether offsets have eight bytes."""


def upright(block: bytes) -> bytes:
    """Return an EXIF block whose orientation is 1; nothing else is touched.

    Raises:
        ValueError: it is damaged, or its orientation is not an integer.
    """
    read, changed = Directories(BytesIO(block)), bytearray(block)
    for entry in read.entries(read.first):
        if entry.tag == ORIENTATION:
            read.number(entry)
            struct.pack_into(read.order + _INTEGERS[entry.kind], changed, entry.offset, 1)
    return bytes(changed)


def of_tiff(file: BinaryIO, offset: int | None = None) -> bytes | None:
    """Return an EXIF block with the photo tags of a page of a TIFF file, or None if it has none.

    Args:
        file: the file.
        offset: offset of the page's directory; None for the first.

    Raises:
        ValueError: the file is damaged.
    """
    read = Directories(file)
    entries = list(read.entries(read.first if offset is None else offset))
    kept = [(entry, read.values(entry)) for entry in entries if entry.tag in DESCRIPTIVE]
    inner = {
        entry.tag: [(found, read.values(found)) for found in read.entries(read.number(entry)) if _is_plain(found)]
        for entry in entries
        if entry.tag in FOLDERS
    }
    return _written(read.order, kept, inner) if kept or inner else None


def _is_plain(entry: Entry) -> bool:
    """Return whether an EXIF block can have an entry: no offset into another file, and no kind of a BigTIFF."""
    return entry.tag not in POINTERS and entry.kind <= 12


Filled = tuple[Entry, bytes]
"""An entry and the bytes of its values."""


def _written(order: str, entries: list[Filled], inner: dict[int, list[Filled]]) -> bytes:
    """Return a block of a first directory and the directories it leads to."""

    def first(offsets: dict[int, int]) -> bytes:
        pointers = [(Entry(tag, _LONG, 1, 0), struct.pack(order + "I", offset)) for tag, offset in offsets.items()]
        return _directory(order, sorted([*entries, *pointers], key=lambda filled: filled[0].tag), 8)

    offsets = dict.fromkeys(inner, 0)
    start, others = 8 + len(first(offsets)), b""
    for tag, found in inner.items():
        offsets[tag] = start + len(others)
        others += _directory(order, found, offsets[tag])
    header = b"II*\0" if order == "<" else b"MM\0*"
    return header + struct.pack(order + "I", 8) + first(offsets) + others


def _directory(order: str, entries: list[Filled], offset: int) -> bytes:
    """Return a directory for an offset, followed by its values."""
    lines, values = bytearray(struct.pack(order + "H", len(entries))), bytearray()
    start = offset + 2 + 12 * len(entries) + 4
    for entry, data in entries:
        lines += struct.pack(order + "HHI", entry.tag, entry.kind, entry.count)
        if len(data) <= 4:
            lines += data.ljust(4, b"\0")
            continue
        lines += struct.pack(order + "I", start + len(values))
        values += data + b"\0" * (len(data) % 2)  # values start at even offsets
    return bytes(lines) + bytes(4) + bytes(values)
