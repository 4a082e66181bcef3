"""Codes an image with the bundle and every classic codec, and measures the real files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.classic import ClassicCodec
from aeedge.evaluation.data import EvaluationImage
from aeedge.evaluation.metrics import LEAST_SIDE, Reference
from aeedge.evaluation.points import AEEDGE, Point
from aeedge.evaluation.ssimulacra import LEAST_SIDE as LEAST_SCORED_SIDE
from aeedge.evaluation.ssimulacra import ssimulacra2
from aeedge_runtime import AeedgeError, Codec
from aeedge_runtime.images.psnr import psnr_db

Pixels = NDArray[np.uint8]

Progress = Callable[[int, int, str], None]
"""Called with the number of items done, their total, and what they are in the plural."""


def silent(done: int, total: int, noun: str) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Plan:
    """The measurements to make on every image.

    Attributes:
        qualities: of the bundle.
        classics: codecs to compare with, each at its own ladder.
        threads: threads of the bundle's networks and of encoders that take a number.
        ms_ssim: whether to measure MS-SSIM, which takes time.
        ssimulacra2: whether to measure SSIMULACRA2, which takes most of the time.
    """

    qualities: tuple[int, ...]
    classics: tuple[ClassicCodec, ...]
    threads: int
    ms_ssim: bool
    ssimulacra2: bool = False


@dataclass(frozen=True)
class _Metrics:
    """The metrics of one image, as far as they are asked for and it is large enough.

    Attributes:
        reference: the image prepared for MS-SSIM, or None.
        scored: whether SSIMULACRA2 is measured.
    """

    reference: Reference | None
    scored: bool

    @classmethod
    def of(cls, image: EvaluationImage, plan: Plan) -> _Metrics:
        side = min(image.pixels.shape[:2])
        reference = Reference.of(image.pixels) if plan.ms_ssim and side >= LEAST_SIDE else None
        return cls(reference, plan.ssimulacra2 and side >= LEAST_SCORED_SIDE)


def measure_image(codec: Codec, image: EvaluationImage, plan: Plan) -> list[Point]:
    """Return every measurement of one image.

    Raises:
        AeedgeError: a codec returned an image of another size.
    """
    channels = image.pixels.shape[2]
    metrics = _Metrics.of(image, plan)
    points = []
    for quality in plan.qualities:
        points.append(
            _measured(image, AEEDGE, quality, metrics, lambda q: codec.compress(image.pixels, q), codec.decompress)
        )
    for classic in plan.classics:
        for quality in classic.qualities:
            points.append(
                _measured(
                    image,
                    classic.key,
                    quality,
                    metrics,
                    lambda q, by=classic: by.encode(image.pixels, q, plan.threads),  # type: ignore[misc]
                    lambda data, by=classic: by.decode(data, channels),  # type: ignore[misc]
                )
            )
    return points


def warm_up(codec: Codec, image: EvaluationImage, plan: Plan) -> None:
    """Open sessions and load Pillow's plugins, so that the times of the first image do not include it."""
    top, left = image.pixels.shape[0] // 4, image.pixels.shape[1] // 4
    small = EvaluationImage(image.name, np.ascontiguousarray(image.pixels[top:, left:]))
    classics = tuple(_with_one_quality(classic) for classic in plan.classics)
    for shown in (small, image):
        measure_image(codec, shown, Plan(plan.qualities[-1:], classics, plan.threads, ms_ssim=False))


def _with_one_quality(classic: ClassicCodec) -> ClassicCodec:
    return ClassicCodec(**{**vars(classic), "qualities": classic.qualities[-1:]})


def _measured(
    image: EvaluationImage,
    codec: str,
    quality: int,
    metrics: _Metrics,
    encode: Callable[[int], bytes],
    decode: Callable[[bytes], Pixels],
) -> Point:
    start = time.perf_counter()
    data = encode(quality)
    middle = time.perf_counter()
    restored = decode(data)
    end = time.perf_counter()
    if restored.shape != image.pixels.shape:
        raise AeedgeError(f"{image.name}: {codec} returned shape {restored.shape}, expected {image.pixels.shape}")
    return Point(
        image=image.name,
        codec=codec,
        quality=quality,
        pixels=image.pixels.shape[0] * image.pixels.shape[1],
        total_bytes=len(data),
        psnr_db=psnr_db(image.pixels, restored),
        ms_ssim=metrics.reference.ms_ssim(restored) if metrics.reference else None,
        ssimulacra2=ssimulacra2(image.pixels, restored) if metrics.scored else None,
        encode_ms=(middle - start) * 1000,
        decode_ms=(end - middle) * 1000,
    )
