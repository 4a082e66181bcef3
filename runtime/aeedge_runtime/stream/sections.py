"""What is inside the sections that are not plain bytes: alpha planes and names. Decompression is bounded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, StreamError
from ..limits import MAX_NAME_BYTES, MAX_SECTION_BYTES


def pack_alpha(alpha: NDArray[np.uint8]) -> bytes:
    """Alpha planes, uint8 [N, H, W], losslessly: each row less the row above, modulo 256, through zlib."""
    above = np.zeros_like(alpha)
    above[:, 1:] = alpha[:, :-1]
    return zlib.compress((alpha - above).tobytes(), 9)


def unpack_alpha(data: bytes, count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Alpha planes, uint8 [count, height, width].

    Raises:
        StreamError: the section is damaged or holds another number of samples.
    """
    size = count * height * width
    plain = _inflate(data, size, "alpha")
    if len(plain) != size:
        raise StreamError(f"alpha section: {len(plain)} samples, expected {size}; the stream is damaged, get it again")
    rows = np.frombuffer(plain, np.uint8).reshape(count, height, width)
    return np.cumsum(rows, axis=1, dtype=np.uint8)


def pack_names(names: Sequence[bytes]) -> bytes:
    """Names of images in order, as raw file-system bytes.

    Raises:
        ArgumentError: a name that `unpack_names` would refuse.
    """
    plain = b"".join(name + b"\0" for name in names)
    if fault := _name_fault(plain, names):
        raise ArgumentError(f"names: {fault}")
    if len(plain) > MAX_SECTION_BYTES:
        raise ArgumentError(
            f"names: {len(plain)} bytes, the limit is {MAX_SECTION_BYTES}; put fewer images in a stream"
        )
    return zlib.compress(plain, 9)


def unpack_names(data: bytes, count: int) -> list[bytes]:
    """Names of `count` images: relative paths of plain components, all different.

    Raises:
        StreamError: the section is damaged, or a name could reach outside a folder.
    """
    plain = _inflate(data, MAX_SECTION_BYTES, "names")
    found = plain.count(b"\0")  # counted before they are split: a list takes 20 times the memory of its bytes
    if found != count or not plain.endswith(b"\0"):
        raise StreamError(f"names section: {found} names, expected {count}; the stream is damaged, get it again")
    names = plain[:-1].split(b"\0")
    if fault := _name_fault(plain, names):
        raise StreamError(f"names section: {fault}; the stream is damaged or forged")
    return names


_NO_PATH = re.compile(rb"(?:\A|(?<=[/\0]))\.{0,2}[/\0]|[^\0]{%d}" % (MAX_NAME_BYTES + 1))
"""A part of a path that is empty, "." or "..", or a name that is too long, in names that a zero follows each."""


def _name_fault(plain: bytes, names: Sequence[bytes]) -> str:
    """What is wrong with names; `plain` holds them with a zero behind each."""
    if len(set(names)) != len(names):
        return "a name comes twice"
    if plain.count(b"\0") != len(names):
        return "a name holds a zero byte, so it is not a relative path"
    if found := _NO_PATH.search(plain):
        start = plain.rfind(b"\0", 0, found.start()) + 1
        name = plain[start : plain.index(b"\0", start)]
        return f"{name[:64]!r} is not a relative path of at most {MAX_NAME_BYTES} bytes without '.' and '..'"
    return ""


def _inflate(data: bytes, limit: int, what: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise StreamError(f"{what} section: not zlib data ({error}); the stream is damaged, get it again") from error
    if len(plain) > limit:
        raise StreamError(f"{what} section: more than {limit} bytes when unpacked; the stream is forged")
    if not inflater.eof or inflater.unused_data:
        raise StreamError(f"{what} section: cut short or followed by other bytes; the stream is damaged, get it again")
    return plain
