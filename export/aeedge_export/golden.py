"""Golden vectors: small images, and the streams, symbols and pixels they became; `aeedge verify` replays them."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge_runtime.codec import Codec

QUALITIES = (50, 95)
MOST_SIDE = 96
"""Rows and columns of a golden image of a convolutional model; a patched one takes one patch and a bit."""

IMAGES = 2


def golden_files(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> dict[str, bytes]:
    """Return name -> bytes of the golden vectors, made by the runtime itself.

    Args:
        codec: the bundle, with both halves.
        images: uint8 `[H, W, C]`; the first few are used.
    """
    files: dict[str, bytes] = {}
    number = 0
    for place, image in enumerate(images[:IMAGES]):
        size = _size(codec, odd=place % 2 == 1)
        small = np.ascontiguousarray(image[: size[0], : size[1]])
        for quality in QUALITIES:
            stream = codec.compress(small, quality, stored_tiles=False)  # tiles would leave less to replay
            files[f"golden/{number}.png"] = png_bytes(small)
            files[f"golden/{number}.aee"] = stream
            files[f"golden/{number}.symbols.npy"] = _array_bytes(codec.decompress_symbols(stream))
            files[f"golden/{number}.decoded.png"] = png_bytes(codec.decompress(stream))
            number += 1
    return files


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image uint8 `[H, W, C]` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _size(codec: Codec, *, odd: bool) -> tuple[int, int]:
    """Rows and columns to cut from an image; an odd image ends inside a latent position."""
    facts = codec.bundle.manifest.image
    high, wide = facts.stride if facts.patched else (MOST_SIDE, MOST_SIDE)
    return (high - high // 4 - 1, wide - 1) if odd and high > 4 else (high, wide)


def _array_bytes(symbols: NDArray[np.int16]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(symbols), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
