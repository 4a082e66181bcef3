"""Streams taken apart, changed field by field, and sealed again with checksums that are right."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np


@dataclass
class Forged:
    """The fields of a stream, each free to lie.

    Attributes:
        flags: as in FORMAT.md, and so on.
        lengths: chunk lengths as the header says them, one fewer than chunks in an honest stream.
        table: section ids and lengths as the header says them.
        body: what follows the header up to the symbol hash.
    """

    flags: int
    stream_id: bytes
    quality: int
    count: int
    width: int
    height: int
    chunks: int
    lengths: list[int]
    table: list[tuple[int, int]]
    body: bytes
    symbol_hash: bytes
    section_count: int = field(default=-1)

    def seal(self) -> bytes:
        """Bytes with a fitting header check and checksum."""
        header = b"\xaeED\1" + bytes([self.flags & 255]) + self.stream_id + bytes([self.quality & 255])
        values = [self.count, self.width, self.height, self.chunks, *self.lengths]
        header += b"".join(map(varint, values))
        if self.flags & 1:
            header += varint(len(self.table) if self.section_count < 0 else self.section_count)
            header += b"".join(bytes([key & 255]) + varint(size) for key, size in self.table)
        return seal(header, self.body, self.symbol_hash)


def seal(header: bytes, body: bytes, symbol_hash: bytes = bytes(4)) -> bytes:
    """Return a stream of any header and body, its two checksums right."""
    data = header + struct.pack("<H", binascii.crc_hqx(header, 0xFFFF)) + body + symbol_hash
    return data + struct.pack("<I", zlib.crc32(data))


def varint(value: int) -> bytes:
    """LEB128 in the shortest form, of any length."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def take_apart(data: bytes) -> tuple[Forged, int]:
    """Return the fields of a valid stream, and the length of its header without the check."""
    position = 14

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    count, width, height, chunks = number(), number(), number(), number()
    lengths = [number() for _ in range(chunks - 1)]
    table = []
    if data[4] & 1:
        for _ in range(number()):
            position += 1
            table.append((data[position - 1], number()))
    fields = (data[4], data[5:13], data[13], count, width, height, chunks, lengths, table)
    return Forged(*fields, data[position + 2 : -8], data[-8:-4]), position


Random = np.random.Generator
Change = Callable[[Forged, Random], Forged]


def any_number(random: Random, near: int) -> int:
    """Return a number that field code trips over: near, a power of two and its neighbours, or anything of 35 bits."""
    kind = random.integers(4)
    if kind == 0:
        return max(0, near + int(random.integers(-3, 4)))
    if kind == 1:
        return max(0, (1 << int(random.integers(0, 36))) + int(random.integers(-1, 2)))
    if kind == 2:
        return int(random.integers(0, 200))
    return int(random.integers(0, 1 << 35))


def change_number(name: str) -> Change:
    """Return a change of one number of the header."""

    def change(forged: Forged, random: Random) -> Forged:
        return replace(forged, **{name: any_number(random, getattr(forged, name))})

    return change


def change_quality(forged: Forged, random: Random) -> Forged:
    """Another quality, most often one that exists."""
    return replace(forged, quality=int(random.integers(0, 104)))


def change_size(forged: Forged, random: Random) -> Forged:
    """Width, height and count that keep within the limits of one decode."""
    width, height = (int(2 ** random.uniform(0, 12)) for _ in range(2))
    return replace(forged, width=width, height=height, count=1 if random.random() < 0.8 else int(random.integers(1, 9)))


def change_flags(forged: Forged, random: Random) -> Forged:
    """Other flags, most often known ones."""
    return replace(forged, flags=int(random.integers(4 if random.random() < 0.8 else 256)))


def change_lengths(forged: Forged, random: Random) -> Forged:
    """Return a number of chunks with as many lengths."""
    chunks = int(random.integers(1, 40))
    lengths = [any_number(random, 0) if random.random() < 0.2 else 0 for _ in range(chunks - 1)]
    return replace(forged, chunks=chunks, lengths=lengths)


def change_body(forged: Forged, random: Random) -> Forged:
    """Bits of sections and chunks flipped."""
    body = bytearray(forged.body)
    for _ in range(int(random.integers(1, 9))):
        if body:
            body[int(random.integers(len(body)))] ^= 1 << int(random.integers(8))
    return replace(forged, body=bytes(body))


def change_body_length(forged: Forged, random: Random) -> Forged:
    """Bytes cut off the end, or added."""
    cut = int(random.integers(0, 20))
    more = random.bytes(int(random.integers(0, 20))) if random.random() < 0.5 else bytes(int(random.integers(0, 3000)))
    return replace(forged, body=forged.body[: max(0, len(forged.body) - cut)] + more)


def change_payload(forged: Forged, random: Random) -> Forged:
    """Random bytes as the only chunk, the lane code chosen first."""
    body = forged.body[: sum(size for _, size in forged.table)]
    payload = bytearray(random.bytes(int(2 ** random.uniform(0, 13))))
    payload[0] = payload[0] & 240 | int(random.integers(13))
    return replace(forged, body=body + bytes(payload))


def change_table(forged: Forged, random: Random) -> Forged:
    """Section ids, lengths, order and number."""
    table = [*forged.table, (int(random.integers(256)), any_number(random, 10))]
    random.shuffle(table)
    dropped = table[: int(random.integers(1, len(table) + 1))]
    number = -1 if random.random() < 0.7 else any_number(random, len(dropped))
    return replace(forged, flags=forged.flags | 1, table=dropped, section_count=number)


@cache
def zlib_bombs() -> tuple[bytes, ...]:
    """Sections that unpack to much: zeros, names by the million, nothing, too little, cut short, followed by more."""
    zeros, names = zlib.compress(bytes(1 << 25), 9), zlib.compress(b"ab\0" * (1 << 22), 9)
    plain = zlib.compress(b"../a\0/b\0")
    return (zeros, names, zlib.compress(b"", 9), plain, plain[:-1], plain + b"x", zlib.compress(b"a\0" * 5, 9))


def change_section(forged: Forged, random: Random) -> Forged:
    """One section, of alpha or names most often, that holds something else."""
    content = zlib_bombs()[int(random.integers(len(zlib_bombs())))]
    section = (1, 4, 1, 4, 2, 3, 200)[int(random.integers(7))]
    rest = forged.body[sum(size for _, size in forged.table) :]
    return replace(forged, flags=forged.flags | 1, table=[(section, len(content))], body=content + rest)


def change_tiles(forged: Forged, random: Random) -> Forged:
    """Section 5 or 6 of a stream that has one, most often near its start: flags, map, lengths and headers of blobs."""
    start = 0
    for key, size in forged.table:
        if key in (5, 6) and start + size <= len(forged.body):
            body = bytearray(forged.body)
            for _ in range(int(random.integers(1, 4))):
                place = start + int(min(random.exponential(8), size - 1))
                body[place] = int(random.integers(256)) if random.random() < 0.5 else body[place] ^ 1
            return replace(forged, body=bytes(body))
        start += size
    return forged


CHANGES: tuple[Change, ...] = (
    *(change_number(name) for name in ("count", "width", "height", "chunks")),
    *(change_quality, change_size, change_size, change_flags, change_lengths, change_body, change_body),
    *(change_body_length, change_payload, change_payload, change_table, change_section, change_tiles, change_tiles),
)


def forge(data: bytes, random: Random) -> bytes:
    """Return a valid stream with one to three lies and right checksums."""
    forged, size = take_apart(data)
    if random.random() < 0.15:
        header = bytearray(data[:size])
        for _ in range(int(random.integers(1, 4))):
            header[int(random.integers(4, size))] = int(random.integers(256))
        return seal(bytes(header), forged.body, forged.symbol_hash)
    for _ in range(int(random.integers(1, 4))):
        forged = CHANGES[int(random.integers(len(CHANGES)))](forged, random)
    return forged.seal()
