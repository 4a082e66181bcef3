"""How well anomaly scores and maps find what they should: intervals of rates, pixel AUROC and F1 against masks."""

import math

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime import ArgumentError

BINS = 1 << 16
"""Bins of the histograms of map values, each 0.8 percent of its value wide."""

CONFIDENCE = 1.959964
"""Two-sided 95 percent of a normal distribution."""


def rate_interval(hits: int, total: int) -> tuple[float, float]:
    """Return 95-percent bounds of a rate (Wilson, "Probable inference", JASA 1927)."""
    center = (hits + CONFIDENCE**2 / 2) / (total + CONFIDENCE**2)
    spread = hits * (total - hits) / total + CONFIDENCE**2 / 4
    half = CONFIDENCE * math.sqrt(spread) / (total + CONFIDENCE**2)
    return max(0.0, center - half), min(1.0, center + half)


def auroc_interval(area: float, normal: int, anomalous: int) -> tuple[float, float]:
    """Return 95-percent bounds of an AUROC, given the images of each class (Hanley and McNeil, Radiology 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (anomalous - 1) * (one - area**2) + (normal - 1) * (two - area**2)
    half = CONFIDENCE * math.sqrt(max(variance, 0.0) / (normal * anomalous))
    return max(0.0, area - half), min(1.0, area + half)


class PixelDetection:
    """Compares maps with masks; keeps histograms of their values, not the maps.

    Attributes:
        masks: number of masks that mark something.
    """

    def __init__(self) -> None:
        self.masks = 0
        self._inside, self._outside = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)

    def add(self, unusual: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Take the map and the mask of an image, both [H, W]."""
        self.masks += int(mask.any())
        places = _bins(unusual)
        self._inside += np.bincount(places[mask], minlength=BINS)
        self._outside += np.bincount(places[~mask], minlength=BINS)

    def summary(self) -> dict[str, float]:
        """Return the pixel AUROC, and the best F1 over all thresholds with its threshold.

        Raises:
            ArgumentError: no pixel is marked, or all are.
        """
        marked, clean = self._inside.sum(), self._outside.sum()
        if not marked or not clean:
            raise ArgumentError(f"the masks mark {'all pixels' if marked else 'no pixel'}; expected masks of defects")
        found, false = self._inside[::-1].cumsum()[::-1], self._outside[::-1].cumsum()[::-1]
        f1 = 2 * found / (found + false + marked)
        best = int(np.argmax(f1))
        below = self._outside.cumsum() - self._outside / 2
        return {
            "pixel_auroc": float((self._inside * below).sum() / (marked * clean)),
            "best_f1": float(f1[best]),
            "best_f1_threshold": _lower_edge(best),
        }


def _bins(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the bin of each value: the upper half of its bits, in an order that is that of the values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ordered >> np.uint32(16)


def _lower_edge(place: int) -> float:
    """Return the smallest value of a bin; see `_bins`."""
    ordered = np.array([place << 16], np.uint32)
    bits = np.where(ordered >> 31, ordered ^ np.uint32(1 << 31), ~ordered)
    return float(bits.astype(np.uint32).view(np.float32)[0])
