"""Lossless blobs: the pixels of a rectangle as a bare WebP (VP8L) bit stream, or as the zlib data of a PNG.

The file formats around them say nothing that the reader does not know: they are left out, and put back for Pillow.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np

from ..arrays import Pixels
from ..errors import BackendError, StreamError
from ..stream.tile_sections import ZLIB

THOROUGH_PIXELS = 1 << 21
"""Pixels up to which WebP's best quality is tried, too: twice the time, 1 to 3 % of the bytes."""

EFFORTS = (80, 100)
"""WebP's lossless qualities; 80 is Pillow's own, so no file that Pillow writes by default is smaller."""

QUICK_EFFORT, QUICK_METHOD = 50, 2
"""WebP's lossless quality and method of a quick try: the least that finds textures that repeat themselves."""

WEBP_START = b"RIFF....WEBPVP8L"
"""What comes before the size of the bit stream in a file; the dots are the size of what follows them."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PNG_FILTERS = 5

_ALPHA_BIT = 0x10
_DAMAGED = "the stream is damaged or forged, get it again"


def has_webp() -> bool:
    """Return whether this Pillow reads and writes WebP."""
    from PIL import features

    return bool(features.check("webp"))


def encode_blob(pixels: Pixels, *, png: bool = False, quick: bool = False) -> bytes:
    """Return pixels, uint8 [H, W, C], losslessly; C of 2 or 4 has alpha last.

    Args:
        pixels: at most 16,383 rows and columns.
        png: try PNG's way as well, which is smaller for smooth synthetic images. Without WebP it is the only one.
        quick: take a quarter of the time, and more bytes.
    """
    if quick and has_webp():
        return _encode_vp8l(pixels, QUICK_EFFORT, QUICK_METHOD)
    efforts = EFFORTS if pixels.shape[0] * pixels.shape[1] <= THOROUGH_PIXELS else EFFORTS[:1]
    found = [_encode_vp8l(pixels, effort) for effort in efforts] if has_webp() else []
    if png or not found:
        found.append(encode_zlib(pixels))
    return min(found, key=len)


def encode_zlib(pixels: Pixels) -> bytes:
    """Return pixels, uint8 [H, W, C], in PNG's way."""
    file = _saved(pixels, "PNG", optimize=True)
    data, position = b"", len(PNG_SIGNATURE)
    while position < len(file):
        size, kind = struct.unpack_from(">I4s", file, position)
        if kind == b"IDAT":
            data += file[position + 8 : position + 8 + size]
        position += size + 12
    return data


def decode_blob(blob: bytes, height: int, width: int, channels: int) -> Pixels:
    """Return the pixels of a blob, uint8 [height, width, channels].

    Args:
        blob: of a stream, its header checked.
        height: its rows.
        width: its columns.
        channels: 1 or 3, and one more with alpha.

    Raises:
        StreamError: damaged or forged.
        BackendError: a VP8L blob, and Pillow was built without WebP.
    """
    if blob[0] == ZLIB:
        return _decoded(_png_file(blob, height, width, channels), "PNG", channels)
    if not has_webp():
        raise BackendError(
            "the stream stores tiles as WebP, and this Pillow was built without it; install Pillow's own wheel"
        )
    return _decoded(_webp_file(blob), "WEBP", channels)


def _encode_vp8l(pixels: Pixels, effort: int, method: int = 4) -> bytes:
    planes = pixels
    if pixels.shape[2] < 3:  # gray is R = G = B
        planes = pixels[..., [0, 0, 0, 1][: pixels.shape[2] + 2]]
    file = _saved(planes, "WEBP", lossless=True, exact=True, method=method, quality=effort)
    size = struct.unpack_from("<I", file, len(WEBP_START))[0]
    blob = bytearray(file[len(WEBP_START) + 4 :][:size])
    if planes.shape[2] == 4:
        blob[4] |= _ALPHA_BIT  # libwebp says that there is no alpha where all of it is 255
    return bytes(blob)


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
    """Return a PNG around zlib data, which is unpacked first: its rows must be all there, and no more."""
    row = 1 + width * channels
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(blob, height * row + 1)
    except zlib.error as error:
        raise StreamError(f"stored tiles: a blob that is not zlib data ({error}); {_DAMAGED}") from error
    if len(plain) != height * row or not inflater.eof or inflater.unused_data:
        raise StreamError(f"stored tiles: a zlib blob of {len(plain)} bytes, expected {height * row}; {_DAMAGED}")
    if max(plain[::row]) >= PNG_FILTERS:
        raise StreamError(f"stored tiles: a row with filter {max(plain[::row])}, expected 0..4; {_DAMAGED}")
    header = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOR_TYPES[channels], 0, 0, 0)
    return PNG_SIGNATURE + b"".join(_png_chunk(*part) for part in ((b"IHDR", header), (b"IDAT", blob), (b"IEND", b"")))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _decoded(file: bytes, kind: str, channels: int) -> Pixels:
    from PIL import Image

    if kind not in Image.OPEN:
        Image.init()
    open_image = Image.OPEN[kind][0]  # not Image.open: its own limit of pixels is not ours
    try:
        with open_image(BytesIO(file), "") as image:
            found = np.asarray(image)
    except Exception as error:  # Pillow's plugins raise a dozen types on damaged files, not only OSError
        raise StreamError(f"stored tiles: a blob that does not decode ({error}); {_DAMAGED}") from error
    planes = found if found.ndim == 3 else found[..., None]
    if kind == "WEBP" and channels < 3:
        return np.ascontiguousarray(planes[..., [1, 3][:channels]])
    return planes
