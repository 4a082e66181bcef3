"""Anomaly scores by comparison with good images: the most unusual place of an image decides its score.

The maps are of the reconstruction's error and of the brightness itself, each smoothed and normalized by its mean and
spread over good images: position by position if these are aligned, over all positions if not. The mean error of a whole
image misses a defect that covers one percent of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.applications.images import NamedImage, batches, stack
from aeedge.applications.reconstruction import reconstruct
from aeedge_runtime import ArgumentError, Codec

Map = NDArray[np.float32]

WINDOW = 5
"""Rows and columns of the mean that smooths a map, applied twice; with 9, small scratches of one pixel fade."""

ALIGNED_SHARE = 0.5
"""Share of the pixels' variance that the position has to explain in aligned images."""

SPREAD_FLOOR = 0.25
"""Smallest spread of a position, relative to the median of all positions: noise must not become an anomaly."""

FEWEST_IMAGES = 40
"""Good images that are needed: half of them give the statistics, the others the threshold."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What good images look like to a model.

    Attributes:
        mean: of each map over good images, float32 [2, H, W] if they are aligned, else [2, 1, 1].
        spread: standard deviation, likewise.
        threshold: scores above it are anomalous.
        false_positive_rate: share of good images above the threshold, in expectation, at most.
        images: good images that decided the threshold.
    """

    mean: Map
    spread: Map
    threshold: float
    false_positive_rate: float
    images: int

    @property
    def aligned(self) -> bool:
        """Whether the statistics are of positions."""
        return self.mean.shape[1:] != (1, 1)

    @classmethod
    def fit(cls, codec: Codec, images: Callable[[], Iterable[NamedImage]], rate: float = 0.01) -> Reference:
        """Compare good images with each other.

        Args:
            codec: the model.
            images: gives good images, each time the same; every other one gives the statistics, the rest the threshold.
            rate: share of good images that may score above the threshold; raised to the smallest that they can show.

        Raises:
            ArgumentError: fewer than 40 images.
        """
        sums = _Sums()
        for number, (_, maps) in enumerate(feature_maps(codec, images())):
            if number % 2 == 0:
                sums.add(maps)
        mean, spread = sums.statistics()
        fitted = cls(mean, spread, math.inf, rate, 0)
        rest = (maps for number, (_, maps) in enumerate(feature_maps(codec, images())) if number % 2)
        scores = np.sort([float(fitted.unusual(maps).max()) for maps in rest])
        if len(scores) < FEWEST_IMAGES // 2:
            raise ArgumentError(f"found {sums.images + len(scores)} good images, expected at least {FEWEST_IMAGES}")
        reachable = max(rate, 1 / (len(scores) + 1))
        rank = math.ceil((len(scores) + 1) * (1 - reachable) - 1e-9)
        return cls(mean, spread, float(scores[rank - 1]), reachable, len(scores))

    def unusual(self, maps: Map) -> Map:
        """Return how many spreads each position of an image is from good images, float32 [H, W].

        Args:
            maps: of `feature_maps`.

        Raises:
            ArgumentError: an image of another size than the good ones, which are aligned.
        """
        if self.aligned and maps.shape != self.mean.shape:
            raise ArgumentError(
                f"found an image of {maps.shape[2]}x{maps.shape[1]}, expected {self.mean.shape[2]}x"
                f"{self.mean.shape[1]} as the good images, which are aligned"
            )
        error, pixels = (maps - self.mean) / self.spread
        worst: Map = np.maximum(error, np.abs(pixels))
        return worst


def feature_maps(codec: Codec, images: Iterable[NamedImage]) -> Iterator[tuple[NamedImage, Map]]:
    """Yield each image with its maps, float32 [2, H, W]: root of the squared error and brightness, smoothed, in 0..1.

    The root has fewer outliers among good images than the square, so a defect stands out more.

    Raises:
        MissingHalfError: the bundle lacks encoder or decoder.
    """
    for batch in batches(images):
        pixels = stack(batch)
        restored = reconstruct(codec, pixels)
        for image, before, after in zip(batch, pixels, restored, strict=True):
            error = np.square(before.astype(np.float32) - after).mean(axis=2) / 255**2
            bright = before.astype(np.float32).mean(axis=2) / 255
            yield image, np.stack([np.sqrt(np.maximum(smoothed(error), 0)), smoothed(bright)])


def smoothed(values: Map) -> Map:
    """Return the mean of a window around each value of [H, W], twice; the border is repeated outside."""
    for axis in (0, 1, 0, 1):
        width = min(WINDOW, 2 * values.shape[axis] - 1)
        half = width // 2
        edges = [(half + 1, half) if number == axis else (0, 0) for number in range(2)]
        total = np.cumsum(np.pad(values, edges, mode="edge"), axis=axis, dtype=np.float64)
        upper, lower = (np.take(total, range(start, start + values.shape[axis]), axis) for start in (width, 0))
        values = ((upper - lower) / width).astype(np.float32)
    return values


class _Sums:
    """Sums of maps and of their squares, over images and over positions."""

    def __init__(self) -> None:
        self.images = 0
        self._by_position: list[NDArray[np.float64]] | None = None
        self._overall = np.zeros((2, 2))
        self._count = 0
        self._one_size = True

    def add(self, maps: Map) -> None:
        self.images += 1
        wide = maps.astype(np.float64)
        self._overall += [wide.sum((1, 2)), np.square(wide).sum((1, 2))]
        self._count += maps[0].size
        if self._by_position is None:
            self._by_position = [np.zeros_like(wide), np.zeros_like(wide)]
        self._one_size = self._one_size and self._by_position[0].shape == wide.shape
        if self._one_size:
            self._by_position[0] += wide
            self._by_position[1] += np.square(wide)

    def statistics(self) -> tuple[Map, Map]:
        """Return mean and spread, by position if the images are aligned."""
        if self._by_position is None:
            raise ArgumentError(f"found no good image, expected at least {FEWEST_IMAGES}")
        mean = self._overall[0] / self._count
        variance = self._overall[1] / self._count - mean**2
        if self._one_size and self.images > 1:
            means = self._by_position[0] / self.images
            variances = np.maximum(self._by_position[1] / self.images - means**2, 0)
            if variances[1].mean() < (1 - ALIGNED_SHARE) * variance[1]:
                spread = np.sqrt(variances)
                floor = SPREAD_FLOOR * np.median(spread, axis=(1, 2), keepdims=True) + 1e-6
                return means.astype(np.float32), np.maximum(spread, floor).astype(np.float32)
        spread = np.sqrt(np.maximum(variance, 1e-12))
        return mean.astype(np.float32)[:, None, None], spread.astype(np.float32)[:, None, None]
