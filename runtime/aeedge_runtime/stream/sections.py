"""Packing and unpacking of a stream's sections: alpha planes, metadata and names. Decompression is bounded."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence

import numpy as np

from ..arrays import Pixels
from ..errors import ArgumentError, LimitError, StreamError
from ..limits import MAX_SECTION_BYTES
from ..profiling import staged
from .container import ALPHA, EXIF, ICC, NAMES
from .names import name_fault

_CONTENTS = {
    ALPHA: ("alpha plane, packed,", "remove it, or use a smaller image"),
    ICC: ("ICC profile", "leave the metadata out"),
    EXIF: ("EXIF block", "leave the metadata out"),
}
"""What is in a section that may be too large, and what to do then."""


@staged("write_container")
def pack_sections(
    alpha: Pixels | None, icc: bytes | None, exif: bytes | None, names: Sequence[str | bytes] | None, count: int
) -> dict[int, bytes]:
    """Return the sections of a stream by id; what is None or empty gets none.

    Args:
        alpha: uint8 [N, H, W].
        icc: ICC profile.
        exif: EXIF block.
        names: names of the images in order.
        count: number of images.

    Raises:
        LimitError: a section is larger than a stream holds.
        ArgumentError: names that are not names, or not `count` of them.
    """
    sections: dict[int, bytes] = {}
    if alpha is not None:
        sections[ALPHA] = pack_alpha(alpha)
    if icc:
        sections[ICC] = icc
    if exif:
        sections[EXIF] = exif
    if names is not None:
        sections[NAMES] = pack_names(_encoded(names, count))
    for section, (what, remedy) in _CONTENTS.items():
        size = len(sections.get(section, b""))
        if size > MAX_SECTION_BYTES:
            raise LimitError(f"the {what} takes {size} bytes, a stream holds at most {MAX_SECTION_BYTES}; {remedy}")
    return sections


def _encoded(names: object, count: int) -> list[bytes]:
    if isinstance(names, np.ndarray) and names.ndim == 1:
        names = names.tolist()
    if isinstance(names, str | bytes) or not isinstance(names, Sequence):
        raise ArgumentError(f"names: found {type(names).__name__}, expected a list of {count} names")
    if len(names) != count:
        raise ArgumentError(f"names: found {len(names)}, expected one for each of {count} images")
    try:
        return [os.fsencode(name) for name in names]
    except (TypeError, UnicodeError) as error:
        raise ArgumentError(f"names: an entry is not a name ({error}); expected text or bytes") from None


def pack_alpha(alpha: Pixels) -> bytes:
    """Return alpha planes, uint8 [N, H, W], compressed losslessly: rows minus the row above, modulo 256, by zlib."""
    above = np.zeros_like(alpha)
    above[:, 1:] = alpha[:, :-1]
    return zlib.compress((alpha - above).tobytes(), 9)


def unpack_alpha(data: bytes, count: int, height: int, width: int) -> Pixels:
    """Return the alpha planes, uint8 [count, height, width].

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
    """Return the section for names of images in order, given as raw file-system bytes.

    Raises:
        ArgumentError: a name that `unpack_names` would refuse.
    """
    plain = b"".join(name + b"\0" for name in names)
    if fault := name_fault(plain, names):
        raise ArgumentError(f"names: {fault}; rename it")
    if len(plain) > MAX_SECTION_BYTES:
        raise ArgumentError(
            f"names: {len(plain)} bytes, the limit is {MAX_SECTION_BYTES}; put fewer images in a stream"
        )
    return zlib.compress(plain, 9)


def unpack_names(data: bytes, count: int) -> list[bytes]:
    """Return the names of `count` images: relative paths of plain components, all different, safe on every system.

    Raises:
        StreamError: the section is damaged, or a name could reach outside a folder.
    """
    plain = _inflate(data, MAX_SECTION_BYTES, "names")
    found = plain.count(b"\0")  # counted before they are split: a list takes 20 times the memory of its bytes
    if found != count or not plain.endswith(b"\0"):
        raise StreamError(f"names section: {found} names, expected {count}; the stream is damaged, get it again")
    names = plain[:-1].split(b"\0")
    if fault := name_fault(plain, names):
        raise StreamError(f"names section: {fault}; the stream is damaged or forged")
    return names


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
