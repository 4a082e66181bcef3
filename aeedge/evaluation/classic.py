"""The classic codecs that a bundle is compared with: real files in memory, made and read by Pillow."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from aeedge_runtime.errors import ArgumentError

JXL_PLUGIN = "pillow_jxl"
"""Import name of `pillow-jxl-plugin`; JPEG XL is compared when it is installed."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ClassicCodec:
    """A classic codec at one setting of effort.

    Attributes:
        key: its name on the command line and in CSV.
        title: its name for people.
        kind: Pillow's name of the format.
        qualities: ladder from few bytes to many; it spans 28 to 37 dB on photographs.
        low: further qualities below, for small images, where a network may end at 20 dB.
        options: further arguments of Pillow's `save`.
        threads: name of the option by which its encoder takes a number of threads, "" where it uses one.
    """

    key: str
    title: str
    kind: str
    qualities: tuple[int, ...]
    low: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: str = ""

    def widened(self) -> Self:
        """The same with its low qualities in the ladder."""
        return replace(self, qualities=self.low + self.qualities, low=())

    def encode(self, pixels: Pixels, quality: int, threads: int = 1) -> bytes:
        """Writes uint8 [H, W, C], C being 1 or 3, without metadata."""
        options = {self.threads: threads, **self.options} if self.threads else self.options
        file = io.BytesIO()
        _picture(pixels).save(file, self.kind, quality=quality, **options)
        return file.getvalue()

    def decode(self, data: bytes, channels: int) -> Pixels:
        """Reads a file to uint8 [H, W, channels]."""
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
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
"""Every codec that can be asked for."""


def available_classics() -> tuple[ClassicCodec, ...]:
    """The codecs that this machine's Pillow can write."""
    return tuple(codec for codec in CLASSICS if _is_available(codec))


def choose_classics(keys: Sequence[str] | None) -> tuple[ClassicCodec, ...]:
    """The codecs of some keys; all available ones for None.

    Raises:
        ArgumentError: there is no such codec, or it is not available here.
    """
    there = {codec.key: codec for codec in available_classics()}
    if keys is None:
        return tuple(there.values())
    known = ", ".join(codec.key for codec in CLASSICS)
    for key in keys:
        if key not in there:
            remedy = "pip install pillow-jxl-plugin" if key == "jxl" else "another build of Pillow"
            missing = f"found {key}, which needs {remedy}"
            raise ArgumentError(missing if key in known.split(", ") else f"found {key}, expected some of {known}")
    return tuple(there[key] for key in dict.fromkeys(keys))


def lossless_files(pixels: Pixels) -> dict[str, bytes]:
    """An image as the lossless files that a person would try, by name: PNG and lossless WebP."""
    files = {}
    for name, kind, options in (
        ("PNG", "PNG", {"optimize": True}),
        ("WebP lossless", "WEBP", {"lossless": True, "quality": 80, "method": 4}),
    ):
        if kind == "PNG" or features.check("webp"):
            file = io.BytesIO()
            _picture(pixels).save(file, kind, **options)
            files[name] = file.getvalue()
    return files


def _is_available(codec: ClassicCodec) -> bool:
    if codec.kind != "JXL":
        return codec.kind == "JPEG" or bool(features.check(codec.kind.lower()))
    if importlib.util.find_spec(JXL_PLUGIN) is None:
        return False
    importlib.import_module(JXL_PLUGIN)  # registers the format
    return True


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
