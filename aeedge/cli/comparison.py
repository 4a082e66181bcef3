"""Compares a bundle with classic codecs for `aeedge demo`, each at its lowest quality that reaches a PSNR."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aeedge.classic import PNG, ClassicCodec, find_classic, lowest_quality
from aeedge.figures import spread
from aeedge.mosaic import enlarged, mosaic
from aeedge_runtime.images.psnr import psnr_db

Pixels = NDArray[np.uint8]

RIVALS = {"JPEG": "jpeg", "WebP": "webp6"}
"""Names to show, and keys of `aeedge.classic`, each with its smallest files."""

SEARCH_IMAGES = 200
"""Images on which a codec's quality is searched; the result is measured on all."""

LABEL_WIDTH = 170
GAP = 4


@dataclass(frozen=True)
class Measured:
    """The measurements of a codec on a set of images.

    Attributes:
        name: the codec and its setting.
        image_bytes: mean size of an image, everything included.
        psnr_db: peak signal-to-noise ratio of the pooled squared error; infinity is lossless.
        encode_ms: mean time of an image, image to bytes.
        decode_ms: mean time of an image, bytes to image.
        decoded: uint8 [N, H, W].
    """

    name: str
    image_bytes: float
    psnr_db: float
    encode_ms: float
    decode_ms: float
    decoded: Pixels


def measure_classics(images: Pixels, least_psnr_db: float) -> list[Measured]:
    """Return PNG, and each rival at its lowest quality that reaches a PSNR, on gray images, uint8 [N, H, W]."""
    found = [measure("PNG, lossless", PNG, images, PNG.qualities[0])]
    for name, key in RIVALS.items():
        codec = find_classic(key)
        quality = lowest_quality(codec, images[:SEARCH_IMAGES, ..., None], least_psnr_db)
        found.append(measure(f"{name}, quality {quality}", codec, images, quality))
    return found


def measure(name: str, codec: ClassicCodec, images: Pixels, quality: int) -> Measured:
    """Return the measurements of a file for each gray image, uint8 [N, H, W]."""
    start = time.perf_counter()
    files = [codec.encode(image[..., None], quality) for image in images]
    middle = time.perf_counter()
    decoded = np.stack([codec.decode(data, 1)[..., 0] for data in files])
    end = time.perf_counter()
    count = len(images)
    size = sum(map(len, files)) / count
    times_ms = ((middle - start) * 1000 / count, (end - middle) * 1000 / count)
    return Measured(name, size, psnr_db(images, decoded), *times_ms, decoded)


def save_comparison(rows: Sequence[tuple[str, Pixels]], path: Path, *, columns: int = 12, zoom: int = 3) -> None:
    """Write a PNG with one labeled row of images for each set.

    Args:
        rows: label and gray images, uint8 [N, H, W], the same N in each row.
        path: where to write.
        columns: images to show, spread over the set.
        zoom: screen pixels per image pixel.
    """
    shown = spread(len(rows[0][1]), columns)
    images = np.concatenate([pixels[shown] for _, pixels in rows])[..., None]
    pixels = mosaic(enlarged(images, zoom), len(shown), gap=GAP)[..., 0]
    canvas = Image.new("L", (LABEL_WIDTH + pixels.shape[1] + GAP, pixels.shape[0] + GAP), 255)
    canvas.paste(Image.fromarray(pixels), (LABEL_WIDTH, GAP // 2))
    drawing = ImageDraw.Draw(canvas)
    line = canvas.height // len(rows)
    for row, (name, _) in enumerate(rows):
        drawing.text((8, row * line + line // 2 - 6), name, fill=0)
    canvas.save(path, optimize=True)
