"""How well anomaly scores and maps find what they should: intervals of rates, pixel AUROC and F1 against masks."""

import math

import numpy as np
from numpy.typing import NDArray

from aeedge.applications.anomaly import auroc

BINS = 4096
"""Bins of the histograms of map values."""

CONFIDENCE = 1.959964
"""Two-sided 95 percent of a normal distribution."""


def rate_interval(hits: int, total: int) -> tuple[float, float]:
    """Return 95-percent bounds of a rate (Wilson, "Probable inference", JASA 1927)."""
    center = (hits + CONFIDENCE**2 / 2) / (total + CONFIDENCE**2)
    spread = hits * (total - hits) / total + CONFIDENCE**2 / 4
    half = CONFIDENCE * math.sqrt(spread) / (total + CONFIDENCE**2)
    return max(0.0, center - half), min(1.0, center + half)


class PixelDetection:
    """Collects maps and masks, and compares them.

    Attributes:
        masks: number of masks that mark something.
    """

    def __init__(self) -> None:
        self.masks = 0
        self._values: list[NDArray[np.float32]] = []
        self._marks: list[NDArray[np.bool_]] = []

    def add(self, unusual: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Take the map and the mask of an image, both [H, W]."""
        self.masks += int(mask.any())
        self._values.append(unusual.ravel())
        self._marks.append(mask.ravel())

    def summary(self) -> dict[str, float]:
        """Return the pixel AUROC, and the best F1 over all thresholds with its threshold.

        Raises:
            ValueError: no pixel is marked, or all are.
        """
        values, marks = np.concatenate(self._values), np.concatenate(self._marks)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS)))
        places = np.searchsorted(edges, values)
        inside = np.bincount(places[marks], minlength=len(edges) + 1)
        outside = np.bincount(places[~marks], minlength=len(edges) + 1)
        if not inside.sum() or not outside.sum():
            raise ValueError("the masks mark no pixel, or all of them")
        found, false = inside[::-1].cumsum()[::-1], outside[::-1].cumsum()[::-1]
        f1 = 2 * found / (found + false + inside.sum())
        best = int(np.argmax(f1))
        sample = np.random.default_rng(0)
        normal = values[~marks]
        normal = normal if len(normal) <= 1 << 20 else sample.choice(normal, 1 << 20, replace=False)
        return {
            "pixel_auroc": auroc(normal.astype(np.float64), values[marks].astype(np.float64)),
            "best_f1": float(f1[best]),
            "best_f1_threshold": float(edges[max(best - 1, 0)]),
        }
