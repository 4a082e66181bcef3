"""Measurements and the curves made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aeedge.evaluation.metrics import in_decibels

AEEDGE = "aeedge"
"""Key of the bundle among the codecs."""

EXACT_DB = 99.0
"""PSNR at which an exact copy enters a mean; infinity would swallow all others."""


@dataclass(frozen=True)
class Point:
    """One image, coded once.

    Attributes:
        image: its name.
        codec: key of the codec.
        quality: the codec's own quality.
        pixels: of the image.
        total_bytes: the real file, header included.
        psnr_db: over all channels; infinity where nothing differs.
        ms_ssim: 0..1, or None where the image is too small for it or it was not requested.
        encode_ms: image to bytes.
        decode_ms: bytes to image.
        ssimulacra2: score, 100 for equal images, or None as for MS-SSIM.
    """

    image: str
    codec: str
    quality: int
    pixels: int
    total_bytes: int
    psnr_db: float
    ms_ssim: float | None
    encode_ms: float
    decode_ms: float
    ssimulacra2: float | None = None

    @property
    def rate_bpp(self) -> float:
        """Bits per pixel."""
        return 8 * self.total_bytes / self.pixels


@dataclass(frozen=True)
class CurvePoint:
    """One quality of one codec, averaged over images: mean rate, PSNR, MS-SSIM and SSIMULACRA2, median times."""

    quality: int
    rate_bpp: float
    psnr_db: float
    ms_ssim: float | None
    encode_ms: float
    decode_ms: float
    total_bytes: int
    ssimulacra2: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Curve:
    """A codec's points from few bits to many."""

    codec: str
    title: str
    points: tuple[CurvePoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"codec": self.codec, "title": self.title, "points": [point.to_json() for point in self.points]}


def average(points: Iterable[Point], codec: str, title: str) -> Curve:
    """Return the curve of a codec: at every quality the mean over all images."""
    by_quality: dict[int, list[Point]] = {}
    for point in points:
        if point.codec == codec:
            by_quality.setdefault(point.quality, []).append(point)
    means = [_mean(quality, group) for quality, group in by_quality.items()]
    return Curve(codec, title, tuple(sorted(means, key=lambda mean: mean.rate_bpp)))


def _mean(quality: int, group: Sequence[Point]) -> CurvePoint:
    return CurvePoint(
        quality=quality,
        rate_bpp=float(np.mean([point.rate_bpp for point in group])),
        psnr_db=float(np.mean([min(point.psnr_db, EXACT_DB) for point in group])),
        ms_ssim=_known_mean([point.ms_ssim for point in group]),
        ssimulacra2=_known_mean([point.ssimulacra2 for point in group]),
        encode_ms=float(np.median([point.encode_ms for point in group])),
        decode_ms=float(np.median([point.decode_ms for point in group])),
        total_bytes=sum(point.total_bytes for point in group),
    )


def _known_mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values, or None where one of them is not known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def rates_and_psnr(curve: Curve) -> tuple[list[float], list[float]]:
    """Return bits per pixel and PSNR of a curve."""
    return [point.rate_bpp for point in curve.points], [point.psnr_db for point in curve.points]


def rates_and_ms_ssim(curve: Curve) -> tuple[list[float], list[float]]:
    """Return bits per pixel and MS-SSIM in dB of a curve, where measured."""
    known = [(point.rate_bpp, in_decibels(point.ms_ssim)) for point in curve.points if point.ms_ssim is not None]
    return [rate for rate, _ in known], [value for _, value in known]


def rates_and_ssimulacra2(curve: Curve) -> tuple[list[float], list[float]]:
    """Bits per pixel and SSIMULACRA2 of a curve, as far as measured."""
    known = [(point.rate_bpp, point.ssimulacra2) for point in curve.points if point.ssimulacra2 is not None]
    return [rate for rate, _ in known], [value for _, value in known]
