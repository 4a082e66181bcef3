"""Classic codecs to compare a bundle with: real files in memory, written and read by Pillow, without metadata."""

from __future__ import annotations

import importlib.util
import io
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.images.psnr import psnr_db

JXL_PLUGIN = "pillow_jxl"
"""Import name of `pillow-jxl-plugin`; JPEG XL is compared when it is installed."""

HIGHEST_QUALITY = 100

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ClassicCodec:
    """A classic codec at one setting of effort.

    Attributes:
        key: its name on the command line and in CSV.
        title: its name for people.
        kind: Pillow's name of the format.
        qualities: from few bytes to many; they span 28 to 37 dB on photographs.
        low: further qualities below, for small images, where a network may end at 20 dB.
        options: further arguments of Pillow's `save`.
        threads: name of the option that sets the threads of its encoder, "" where it has none.
    """

    key: str
    title: str
    kind: str
    qualities: tuple[int, ...]
    low: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: str = ""

    def widened(self) -> Self:
        """Return the codec with its low qualities among the others."""
        return replace(self, qualities=self.low + self.qualities, low=())

    def encode(self, pixels: Pixels, quality: int, threads: int = 1) -> bytes:
        """Return the file of an image, uint8 [H, W, C], C being 1 or 3."""
        options = {self.threads: threads, **self.options} if self.threads else self.options
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
            file, self.kind, quality=quality, **options
        )
        return file.getvalue()

    def decode(self, data: bytes, channels: int) -> Pixels:
        """Return the image of a file, uint8 [H, W, channels]."""
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        return pixels[..., None] if channels == 1 else pixels


_WEBP = (0, 8, 20, 40, 60, 78, 87, 94)
_AVIF = (8, 18, 30, 42, 52, 62, 72, 82)

CLASSICS = (
    ClassicCodec(
        "jpeg",
        "JPEG",
        "JPEG",
        (7, 12, 20, 35, 50, 65, 78, 87, 93),
        (1, 2, 4),
        {"optimize": True, "subsampling": "4:2:0"},
    ),
    ClassicCodec("webp4", "WebP method 4", "WEBP", _WEBP, (), {"method": 4}),
    ClassicCodec("webp6", "WebP method 6", "WEBP", _WEBP, (), {"method": 6}),
    ClassicCodec("avif6", "AVIF speed 6", "AVIF", _AVIF, (0, 4), {"speed": 6}, "max_threads"),
    ClassicCodec("avif9", "AVIF speed 9", "AVIF", _AVIF, (0, 4), {"speed": 9}, "max_threads"),
    ClassicCodec("jxl", "JPEG XL effort 7", "JXL", (5, 15, 30, 45, 60, 72, 82, 90), (1,), {"effort": 7}, "num_threads"),
)
"""Every codec that can be requested, lossy and with the settings of a careful user."""

PNG = ClassicCodec("png", "PNG", "PNG", (HIGHEST_QUALITY,), options={"optimize": True})
LOSSLESS = (PNG, ClassicCodec("webp-lossless", "WebP lossless", "WEBP", (80,), options={"lossless": True, "method": 4}))
"""Lossless files that a person would try; the quality of WebP's is its effort."""


def available_classics() -> tuple[ClassicCodec, ...]:
    """Return the codecs that this machine's Pillow can write."""
    return tuple(codec for codec in CLASSICS if _is_available(codec))


def choose_classics(keys: Sequence[str] | None) -> tuple[ClassicCodec, ...]:
    """Return the codecs of some keys, or all available ones for None.

    Raises:
        ArgumentError: there is no such codec, or it is not available here.
    """
    if keys is None:
        return available_classics()
    return tuple(find_classic(key) for key in dict.fromkeys(keys))


def find_classic(key: str) -> ClassicCodec:
    """Return the codec of a key.

    Raises:
        ArgumentError: there is no such codec, or it is not available here.
    """
    for codec in CLASSICS:
        if codec.key == key:
            if not _is_available(codec):
                remedy = "pip install pillow-jxl-plugin" if codec.kind == "JXL" else "another build of Pillow"
                raise ArgumentError(f"found {key}, which needs {remedy}; or leave it out")
            return codec
    raise ArgumentError(f"found {key}, expected some of {', '.join(codec.key for codec in CLASSICS)}")


def lowest_quality(codec: ClassicCodec, images: Pixels, least_psnr_db: float, threads: int = 1) -> int:
    """Return the lowest quality, by bisection, at which files of images reach a PSNR; the highest one if none does.

    Args:
        codec: what writes a file for each image.
        images: uint8 [N, H, W, C].
        least_psnr_db: PSNR to reach, pooled over all images.
        threads: of the encoder.
    """

    def reached(quality: int) -> bool:
        files = [codec.encode(image, quality, threads) for image in images]
        return psnr_db(images, np.stack([codec.decode(data, images.shape[3]) for data in files])) >= least_psnr_db

    return 1 + bisect_left(range(1, HIGHEST_QUALITY), True, key=reached)


def lossless_files(pixels: Pixels) -> dict[str, bytes]:
    """Return an image, uint8 [H, W, C], as each lossless file that can be written here, by title."""
    return {codec.title: codec.encode(pixels, codec.qualities[0]) for codec in LOSSLESS if _is_available(codec)}


def _is_available(codec: ClassicCodec) -> bool:
    if codec.kind != "JXL":
        return codec.kind in ("JPEG", "PNG") or bool(features.check(codec.kind.lower()))
    if importlib.util.find_spec(JXL_PLUGIN) is None:
        return False
    importlib.import_module(JXL_PLUGIN)  # registers the format
    return True
