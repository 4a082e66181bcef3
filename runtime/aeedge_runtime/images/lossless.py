"""Lossless blobs: the pixels of a rectangle as a bare WebP (VP8L) bit stream, or as the zlib data of a PNG.

The file formats around them say nothing that the reader does not know, so they are left out and put back for Pillow.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, StreamError, UnsupportedStreamError

Pixels = NDArray[np.uint8]

VP8L_SIGNATURE = 0x2F
"""First byte of a VP8L bit stream."""

ZLIB_SIGNATURE = 0x78
"""First byte of zlib data with a window of 32 KiB."""

VP8L_HEADER_BYTES = 5
"""Signature, 14 bits of width - 1, 14 bits of height - 1, one bit for alpha, 3 bits of version 0."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PNG_FILTERS = 5

THOROUGH_PIXELS = 1 << 21
"""Pixels up to which a blob that goes into a stream is tried at WebP's best quality, too: twice the time, 1 to 3 % of
the bytes."""

WEBP_START = b"RIFF....WEBPVP8L"
"""What comes before the size of the bit stream in a file; the dots are the size of what follows."""

_DAMAGED = "the stream is damaged or forged, get it again"


def has_webp() -> bool:
    """Return whether this Pillow reads and writes WebP."""
    from PIL import features

    return bool(features.check("webp"))


def encode_blob(pixels: Pixels, *, thorough: bool = False, png: bool = False) -> bytes:
    """Return pixels, uint8 [H, W, C], losslessly; C of 2 or 4 has alpha last.

    Args:
        pixels: at most 16,383 rows and columns.
        thorough: take more time for fewer bytes.
        png: try PNG as well, which is smaller for smooth synthetic images. Without WebP it is the only way.
    """
    found = []
    if has_webp():
        found.append(_encode_vp8l(pixels, 80))
        if thorough and pixels.shape[0] * pixels.shape[1] <= THOROUGH_PIXELS:
            found.append(_encode_vp8l(pixels, 100))
    if png or not found:
        found.append(_encode_png(pixels))
    return min(found, key=len)


def check_blob(blob: bytes | memoryview, height: int, width: int, alpha: bool) -> None:
    """Refuse a blob that does not claim to be what is expected, before anything is made of it.

    Args:
        blob: its bytes, at least one.
        height: rows that it must have.
        width: columns that it must have.
        alpha: whether it must have alpha.

    Raises:
        UnsupportedStreamError: it is of another kind.
        StreamError: a VP8L header that says something else.
    """
    kind = blob[0]
    if kind == ZLIB_SIGNATURE:
        return  # says nothing about its size; its decompression is bounded
    if kind != VP8L_SIGNATURE:
        raise UnsupportedStreamError(
            f"stored tiles: a blob of unknown kind {kind}, expected VP8L or zlib; update aeedge"
        )
    if len(blob) < VP8L_HEADER_BYTES:
        raise StreamError(f"stored tiles: a VP8L blob of {len(blob)} bytes; {_DAMAGED}")
    fields = struct.unpack_from("<I", blob, 1)[0]
    found = (fields >> 14 & 0x3FFF) + 1, (fields & 0x3FFF) + 1, bool(fields >> 28 & 1), fields >> 29
    if found != (height, width, alpha, 0):
        raise StreamError(
            f"stored tiles: a VP8L blob of {found[1]}x{found[0]}, alpha {found[2]}, version {found[3]}, "
            f"expected {width}x{height}, alpha {alpha}, version 0; {_DAMAGED}"
        )


def decode_blob(blob: bytes | memoryview, height: int, width: int, channels: int) -> Pixels:
    """Return the pixels of a blob, uint8 [height, width, channels].

    Args:
        blob: from a stream.
        height: its rows.
        width: its columns.
        channels: 1 or 3, and one more with alpha.

    Raises:
        StreamError: damaged or forged.
        BackendError: a VP8L blob, and Pillow was built without WebP.
    """
    check_blob(blob, height, width, channels in (2, 4))
    if blob[0] == ZLIB_SIGNATURE:
        return _pixels(_png_file(bytes(blob), height, width, channels), "PNG", channels)
    if not has_webp():
        raise BackendError(
            "the stream stores tiles as WebP, and this Pillow was built without WebP; install Pillow from its wheels"
        )
    return _pixels(_webp_file(bytes(blob)), "WEBP", channels)


def _encode_vp8l(pixels: Pixels, quality: int) -> bytes:
    gray = pixels.shape[2] < 3
    planes = np.repeat(pixels[..., :1], 3, axis=2) if gray else pixels[..., :3]
    if pixels.shape[2] in (2, 4):
        planes = np.concatenate([planes, pixels[..., -1:]], axis=2)
    file = _saved(planes, "WEBP", lossless=True, exact=True, method=4, quality=quality)
    size = struct.unpack_from("<I", file, len(WEBP_START))[0]
    blob = bytearray(file[len(WEBP_START) + 4 :][:size])
    if planes.shape[2] == 4:
        blob[4] |= 0x10  # libwebp says that there is no alpha where all of it is 255
    return bytes(blob)


def _encode_png(pixels: Pixels) -> bytes:
    file = _saved(pixels, "PNG", optimize=True)
    data, position = b"", len(PNG_SIGNATURE)
    while position < len(file):
        size, kind = struct.unpack_from(">I4s", file, position)
        if kind == b"IDAT":
            data += file[position + 8 : position + 8 + size]
        position += size + 12
    return data


def _saved(pixels: Pixels, kind: str, **options: Any) -> bytes:
    from PIL import Image

    plain = np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    buffer = BytesIO()
    Image.fromarray(plain).save(buffer, kind, **options)
    return buffer.getvalue()


def _webp_file(blob: bytes) -> bytes:
    padded = blob + bytes(len(blob) & 1)
    return b"RIFF" + struct.pack("<I", 12 + len(padded)) + b"WEBPVP8L" + struct.pack("<I", len(blob)) + padded


def _png_file(blob: bytes, height: int, width: int, channels: int) -> bytes:
    """A PNG around zlib data, whose rows are counted first: they must be all there, and no more."""
    row = 1 + width * channels
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(blob, height * row + 1)
    except zlib.error as error:
        raise StreamError(f"stored tiles: not zlib data ({error}); {_DAMAGED}") from error
    if len(plain) != height * row or not inflater.eof or inflater.unused_data:
        raise StreamError(f"stored tiles: zlib data of {len(plain)} bytes, expected {height * row}; {_DAMAGED}")
    if max(plain[::row]) >= PNG_FILTERS:
        raise StreamError(f"stored tiles: a row with filter {max(plain[::row])}, expected 0..4; {_DAMAGED}")
    header = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOR_TYPES[channels], 0, 0, 0)
    return PNG_SIGNATURE + b"".join(_png_chunk(*part) for part in ((b"IHDR", header), (b"IDAT", blob), (b"IEND", b"")))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixels(file: bytes, kind: str, channels: int) -> Pixels:
    from PIL import Image

    try:
        with Image.open(BytesIO(file), formats=[kind]) as image:
            found = np.asarray(image)
    except Exception as error:  # Pillow's plugins raise a dozen types on damaged files, not only OSError
        raise StreamError(f"stored tiles: a blob that does not decode ({error}); {_DAMAGED}") from error
    planes = found if found.ndim == 3 else found[..., None]
    if kind == "WEBP" and channels < 3:
        return np.ascontiguousarray(planes[..., [1, 3][:channels]])
    return planes
