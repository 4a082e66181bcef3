"""EXIF blocks, and the tags of TIFF files that say the same, byte by byte: what is kept is not written anew.

An EXIF block is a small TIFF file: a header (byte order, 42, place of the first directory), and directories of entries
of 12 bytes: tag, kind, number of values, and the values or, where those have more than four bytes, their place. A
BigTIFF has 43 there, entries of 20 bytes and places of eight.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from ..limits import MAX_SECTION_BYTES

ORIENTATION = 0x0112
"""How the image is to be turned, 1 (not at all) .. 8."""

DESCRIPTIVE = frozenset((0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298))
"""Tags of TIFF files that EXIF has too: description, make, model, software, time, artist, copyright."""

FOLDERS = frozenset((0x8769, 0x8825))
"""Tags that lead to a directory of their own: how the photo was taken, and where."""

POINTERS = FOLDERS | {0xA005, 0x014A}
"""Tags whose value is a place: what they lead to is copied, or they are left out."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its kind."""

_WHOLE = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Kinds of whole numbers, and how they are packed."""

_LONG = 4


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: its tag, the kind and number of its values, and where their bytes lie."""

    tag: int
    kind: int
    count: int
    place: int

    @property
    def size(self) -> int:
        """Bytes of the values together."""
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
            raise ValueError("their file is no TIFF")
        self.order, wide = _HEADERS[header]
        self._count, self._offset, self._inside, first = ("Q", "Q", 8, 8) if wide else ("H", "I", 4, 4)
        self._line = struct.Struct(f"{self.order}HH{self._offset}{self._inside}s")
        (self.first,) = self._numbers(self._offset, first)

    def chain(self) -> Iterator[int]:
        """Yield the places of the directories of all pages: each leads to the next, until one comes twice or is none.

        Raises:
            ValueError: the data ends before.
        """
        place, seen = self.first, set[int]()
        while place and place not in seen:
            seen.add(place)
            yield place
            (place,) = self._numbers(self._offset, self._behind(place, self.count(place)))

    def count(self, place: int) -> int:
        """Return how many entries the directory at a place has."""
        (count,) = self._numbers(self._count, place)
        return count

    def entries(self, place: int) -> Iterator[Entry]:
        """Yield the entries of the directory at a place; those of unknown kinds are left out.

        Raises:
            ValueError: the data ends before.
        """
        count = self.count(place)
        start = self._behind(place, 0)
        for tag, kind, number, value in self._line.iter_unpack(self._bytes(start, self._line.size * count)):
            start += self._line.size
            if kind in _SIZES:
                inside = _SIZES[kind] * number <= self._inside
                yield Entry(tag, kind, number, start - self._inside if inside else self._unpacked(value))

    def values(self, entry: Entry) -> bytes:
        """Return the bytes of an entry's values.

        Raises:
            ValueError: they are not there, or with those read before more than an EXIF block may have.
        """
        self._left -= entry.size
        if self._left < 0:
            raise ValueError("they are more than 16 MiB")
        return self._bytes(entry.place, entry.size)

    def number(self, entry: Entry) -> int:
        """Return the value of an entry that has one, a whole number; else ValueError."""
        if entry.kind not in _WHOLE or entry.count != 1:
            raise ValueError(f"tag {entry.tag} has values of another kind")
        (value,) = self._numbers(_WHOLE[entry.kind], entry.place)
        return value

    def _behind(self, place: int, count: int) -> int:
        """Where so many entries of the directory at a place end."""
        return place + struct.calcsize(f"<{self._count}") + self._line.size * count

    def _unpacked(self, value: bytes) -> int:
        (place,) = struct.unpack(self.order + self._offset, value)
        return int(place)

    def _numbers(self, kinds: str, place: int) -> tuple[int, ...]:
        return struct.unpack(self.order + kinds, self._bytes(place, struct.calcsize(self.order + kinds)))

    def _bytes(self, place: int, size: int) -> bytes:
        if size > MAX_SECTION_BYTES or place > sys.maxsize:
            raise ValueError("they are cut short, or more than 16 MiB")
        self._file.seek(place)
        data = self._file.read(size)
        if len(data) < size:
            raise ValueError("they are cut short")
        return data


_HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
"""First bytes -> byte order, and whether places have eight bytes."""


def upright(block: bytes) -> bytes:
    """Return an EXIF block whose orientation is 1; nothing else is touched.

    Raises:
        ValueError: it is damaged, or its orientation is no whole number.
    """
    read, changed = Directories(BytesIO(block)), bytearray(block)
    for entry in read.entries(read.first):
        if entry.tag == ORIENTATION:
            read.number(entry)
            struct.pack_into(read.order + _WHOLE[entry.kind], changed, entry.place, 1)
    return bytes(changed)


def of_tiff(file: BinaryIO, place: int | None = None) -> bytes | None:
    """Return as an EXIF block what a page of a TIFF file tells of a photo; None where that is nothing.

    Args:
        file: the file.
        place: of the page's directory; None for the first.

    Raises:
        ValueError: the file is damaged.
    """
    read = Directories(file)
    entries = list(read.entries(read.first if place is None else place))
    kept = [(entry, read.values(entry)) for entry in entries if entry.tag in DESCRIPTIVE]
    inner = {
        entry.tag: [(found, read.values(found)) for found in read.entries(read.number(entry)) if _is_plain(found)]
        for entry in entries
        if entry.tag in FOLDERS
    }
    return _written(read.order, kept, inner) if kept or inner else None


def _is_plain(entry: Entry) -> bool:
    """Whether an EXIF block can have an entry: no place in another file, and no kind of a BigTIFF."""
    return entry.tag not in POINTERS and entry.kind <= 12


Filled = tuple[Entry, bytes]
"""An entry and the bytes of its values."""


def _written(order: str, entries: list[Filled], inner: dict[int, list[Filled]]) -> bytes:
    """Return a block of a first directory and those that it leads to."""

    def first(places: dict[int, int]) -> bytes:
        pointers = [(Entry(tag, _LONG, 1, 0), struct.pack(order + "I", place)) for tag, place in places.items()]
        return _directory(order, sorted([*entries, *pointers], key=lambda filled: filled[0].tag), 8)

    places = dict.fromkeys(inner, 0)
    start, others = 8 + len(first(places)), b""
    for tag, found in inner.items():
        places[tag] = start + len(others)
        others += _directory(order, found, places[tag])
    header = b"II*\0" if order == "<" else b"MM\0*"
    return header + struct.pack(order + "I", 8) + first(places) + others


def _directory(order: str, entries: list[Filled], place: int) -> bytes:
    """Return a directory that will lie at a place, with its values behind it."""
    lines, values = bytearray(struct.pack(order + "H", len(entries))), bytearray()
    start = place + 2 + 12 * len(entries) + 4
    for entry, data in entries:
        lines += struct.pack(order + "HHI", entry.tag, entry.kind, entry.count)
        if len(data) <= 4:
            lines += data.ljust(4, b"\0")
            continue
        lines += struct.pack(order + "I", start + len(values))
        values += data + b"\0" * (len(data) % 2)  # values start at even places
    return bytes(lines) + bytes(4) + bytes(values)
