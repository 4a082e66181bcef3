"""A bundle with a fitted prior against the one it came from: bytes at equal PSNR, time, size."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.evaluation.bdrate import compare_curves
from aeedge_runtime.bundle.bundle import Bundle
from aeedge_runtime.codec import Codec
from aeedge_runtime.images.psnr import psnr_db

QUALITIES = (10, 30, 50, 70, 90)
IMAGES = 6
"""Held-out images that are compared."""


@dataclass(frozen=True)
class _Side:
    """Figures of one bundle, one per quality: mean bytes and PSNR; and median milliseconds of an image."""

    stream_bytes: list[float]
    psnr_db: list[float]
    compress_ms: float
    decompress_ms: float


def compare_bundles(old_bundle: Bundle, new_bundle: Bundle, images: Sequence[NDArray[np.uint8]]) -> dict[str, str]:
    """Return in words what a prior gains and costs, measured on real streams of held-out images."""
    old, new = (_measure(Codec.load(bundle), images[:IMAGES]) for bundle in (old_bundle, new_bundle))
    low, high = max(min(old.psnr_db), min(new.psnr_db)), min(max(old.psnr_db), max(new.psnr_db))
    ours, theirs = ((side.stream_bytes, side.psnr_db) for side in (new, old))
    found = compare_curves(ours, theirs, (low, high), ("fitted", "before")) if low < high else None
    shown = "no common range" if found is None or found.percent is None else f"{found.percent:+.1f} %"
    return {
        "bytes_at_equal_psnr": f"{shown} ({low:.1f} to {high:.1f} dB)",
        "bytes_by_quality": ", ".join(
            f"{quality}: {after:.0f} ({before:.0f} before)"
            for quality, after, before in zip(QUALITIES, new.stream_bytes, old.stream_bytes, strict=True)
        ),
        "compress_ms": f"{new.compress_ms:.1f} ({old.compress_ms:.1f} before)",
        "decompress_ms": f"{new.decompress_ms:.1f} ({old.decompress_ms:.1f} before)",
    }


def _measure(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> _Side:
    codec.decompress(codec.compress(images[0]))  # opens the graphs
    sizes, decibels, times = [], [], []
    for quality in QUALITIES:
        found = []
        for image in images:
            start = time.perf_counter()
            stream = codec.compress(image, quality, stored_tiles=False)  # a prior codes what is not stored
            middle = time.perf_counter()
            decoded = codec.decompress(stream)
            times.append((middle - start, time.perf_counter() - middle))
            found.append((len(stream), psnr_db(image, decoded)))
        sizes.append(float(np.mean([size for size, _ in found])))
        decibels.append(float(np.mean([value for _, value in found])))
    compress, decompress = np.median(times, axis=0) * 1e3
    return _Side(sizes, decibels, float(compress), float(decompress))
