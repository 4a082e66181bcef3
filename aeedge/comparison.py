"""Classic codecs on the same images, at the same or better PSNR: real files in memory, with their smallest settings."""

import io
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aeedge_runtime.images.psnr import psnr_db

Pixels = NDArray[np.uint8]

HIGHEST_QUALITY = 100

SEARCH_IMAGES = 200
"""Images on which a codec's quality is searched; the result is measured on all."""


@dataclass(frozen=True)
class Measured:
    """What a codec did to a set of images.

    Attributes:
        name: the codec and its setting.
        image_bytes: mean size of an image, everything included.
        psnr_db: peak signal-to-noise ratio of the pooled squared error; infinity is lossless.
        encode_ms: mean time of an image, image to bytes.
        decode_ms: mean time of an image, bytes to image.
        restored: uint8 [N, H, W], what came back.
    """

    name: str
    image_bytes: float
    psnr_db: float
    encode_ms: float
    decode_ms: float
    restored: Pixels


def measure(name: str, images: Pixels, encode: Callable[[Image.Image], bytes]) -> Measured:
    """Return what a codec that Pillow can read does to gray images, uint8 [N, H, W], one file each."""
    pictures = [Image.fromarray(image) for image in images]
    start = time.perf_counter()
    files = [encode(picture) for picture in pictures]
    middle = time.perf_counter()
    restored = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L")) for file in files])
    end = time.perf_counter()
    count = len(images)
    size = sum(map(len, files)) / count
    times_ms = ((middle - start) * 1000 / count, (end - middle) * 1000 / count)
    return Measured(name, size, psnr_db(images, restored), *times_ms, restored)


def png(picture: Image.Image) -> bytes:
    """Return a picture as PNG, optimised."""
    return _saved(picture, "PNG", optimize=True)


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as baseline JPEG with optimised Huffman tables and no metadata."""
    return _saved(picture, "JPEG", quality=quality, optimize=True)


def webp(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as lossy WebP, slowest and smallest method."""
    return _saved(picture.convert("RGB"), "WEBP", quality=quality, method=6)


def _saved(picture: Image.Image, kind: str, **settings: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def classics(images: Pixels, least_psnr_db: float) -> list[Measured]:
    """Return PNG, and JPEG and WebP each at its lowest quality that reaches a PSNR, on gray images, uint8 [N, H, W]."""
    found = [measure("PNG, lossless", images, png)]
    for name, encode in (("JPEG", jpeg), ("WebP", webp)):
        quality = lowest_quality(images[:SEARCH_IMAGES], encode, least_psnr_db)
        found.append(measure(f"{name}, quality {quality}", images, lambda picture: encode(picture, quality)))  # noqa: B023
    return found


def lowest_quality(images: Pixels, encode: Callable[[Image.Image, int], bytes], least_psnr_db: float) -> int:
    """Return the lowest quality, by bisection, at which a codec reaches a PSNR; the highest one if none does."""

    def reached(quality: int) -> bool:
        return measure("", images, lambda picture: encode(picture, quality)).psnr_db >= least_psnr_db

    return 1 + bisect_left(range(1, HIGHEST_QUALITY), True, key=reached)


def side_by_side(rows: Sequence[tuple[str, Pixels]], path: Path, *, columns: int = 12, zoom: int = 3) -> None:
    """Write a PNG with one labelled row of images for each set.

    Args:
        rows: label and gray images, uint8 [N, H, W], the same N in each row.
        path: where to write.
        columns: images to show, spread over the set.
        zoom: screen pixels per image pixel.
    """
    count, height, width = rows[0][1].shape
    shown = np.linspace(0, count - 1, min(columns, count)).astype(int)
    label, gap, line = 170, 4, height * zoom + 4
    canvas = Image.new("L", (label + len(shown) * (width * zoom + gap), len(rows) * line), 255)
    drawing = ImageDraw.Draw(canvas)
    for row, (name, images) in enumerate(rows):
        drawing.text((8, row * line + line // 2 - 6), name, fill=0)
        for column, index in enumerate(shown):
            picture = Image.fromarray(images[index]).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
            canvas.paste(picture, (label + column * (width * zoom + gap), row * line + gap // 2))
    canvas.save(path, optimize=True)
