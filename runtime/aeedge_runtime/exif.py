"""EXIF blocks, and the tags of TIFF files that say the same, byte by byte: what is kept is not written anew.

An EXIF block is a small TIFF file: a header (byte order, 42, place of the first directory), and directories of entries
of 12 bytes: tag, kind, number of values, and the values or, where those have more than four bytes, their place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from .limits import MAX_SECTION_BYTES

ORIENTATION = 0x0112
"""How the image is to be turned, 1 (not at all) .. 8."""

DESCRIPTIVE = frozenset((0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298))
"""Tags of TIFF files that EXIF has too: description, make, model, software, time, artist, copyright."""

FOLDERS = frozenset((0x8769, 0x8825))
"""Tags that lead to a directory of their own: how the photo was taken, and where."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value by its kind."""

_SHORT, _LONG = 3, 4


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
        ValueError: it is neither, or a BigTIFF.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_SECTION_BYTES
        orders = {b"II*\0": "<", b"MM\0*": ">"}
        header = self._bytes(0, 4)
        if header not in orders:
            raise ValueError("their file is no TIFF of the usual kind")
        self.order = orders[header]

    def place(self, number: int = 0) -> int:
        """Return where the directory of a page lies.

        Raises:
            ValueError: the data ends before.
        """
        (place,) = self._numbers("I", 4)
        for _ in range(number):
            (count,) = self._numbers("H", place)
            (place,) = self._numbers("I", place + 2 + 12 * count)
        return place

    def entries(self, place: int) -> Iterator[Entry]:
        """Yield the entries of the directory at a place; those of unknown kinds are left out.

        Raises:
            ValueError: the data ends before.
        """
        (count,) = self._numbers("H", place)
        lines = self._bytes(place + 2, 12 * count)
        for start, (tag, kind, number, value) in enumerate(struct.iter_unpack(self.order + "HHII", lines)):
            if kind in _SIZES:
                inside = _SIZES[kind] * number <= 4
                yield Entry(tag, kind, number, place + 2 + 12 * start + 8 if inside else value)

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
        if entry.kind not in (_SHORT, _LONG) or entry.count != 1:
            raise ValueError(f"tag {entry.tag} has values of another kind")
        (value,) = self._numbers("H" if entry.kind == _SHORT else "I", entry.place)
        return value

    def _numbers(self, kinds: str, place: int) -> tuple[int, ...]:
        return struct.unpack(self.order + kinds, self._bytes(place, struct.calcsize(self.order + kinds)))

    def _bytes(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        data = self._file.read(size)
        if len(data) < size:
            raise ValueError("they are cut short")
        return data


def upright(block: bytes) -> bytes:
    """Return an EXIF block whose orientation is 1; nothing else is touched.

    Raises:
        ValueError: it is damaged, or its orientation is no whole number.
    """
    read, changed = Directories(BytesIO(block)), bytearray(block)
    for entry in read.entries(read.place()):
        if entry.tag == ORIENTATION:
            read.number(entry)
            struct.pack_into(read.order + ("H" if entry.kind == _SHORT else "I"), changed, entry.place, 1)
    return bytes(changed)


def of_tiff(file: BinaryIO, page: int = 0) -> bytes | None:
    """Return as an EXIF block what a page of a TIFF file tells of a photo; None where that is nothing.

    Raises:
        ValueError: the file is damaged, or a BigTIFF.
    """
    read = Directories(file)
    entries = list(read.entries(read.place(page)))
    kept = [(entry, read.values(entry)) for entry in entries if entry.tag in DESCRIPTIVE]
    inner = {
        entry.tag: [(found, read.values(found)) for found in read.entries(read.number(entry))]
        for entry in entries
        if entry.tag in FOLDERS
    }
    return _written(read.order, kept, inner) if kept or inner else None


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
