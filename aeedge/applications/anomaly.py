"""Anomaly scores: a model reconstructs images unlike its training images badly.

`aeedge_export.checks.anomaly` derives the threshold that a bundle carries from such scores.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.applications.images import NamedImage, batches, stack
from aeedge.applications.reconstruction import reconstruct
from aeedge_runtime import Codec

Pixels = NDArray[np.uint8]

HEAT = ((0, (0, 0, 0)), (64, (160, 0, 0)), (144, (255, 150, 0)), (255, (255, 255, 255)))
"""Colors of heat maps: absolute difference -> R, G, B, linear between."""


@dataclass(frozen=True, eq=False)
class Scored:
    """One image and its score.

    Attributes:
        image: the image.
        score: mean squared error of its reconstruction, samples in 0..1.
        restored: the reconstruction, uint8 [H, W, C].
    """

    image: NamedImage
    score: float
    restored: Pixels


def score_images(codec: Codec, images: Iterable[NamedImage]) -> Iterator[Scored]:
    """Yield every image with its score, in order.

    Raises:
        MissingHalfError: the bundle lacks encoder or decoder.
    """
    for batch in batches(images):
        pixels = stack(batch)
        restored = reconstruct(codec, pixels)
        for image, score, result in zip(batch, squared_errors(pixels, restored), restored, strict=True):
            yield Scored(image, float(score), result)


def squared_errors(images: Pixels, restored: Pixels) -> NDArray[np.float64]:
    """Return the mean squared error of each image, float64 [N], samples in 0..1, of uint8 [N, H, W, C]."""
    difference = images.astype(np.float32) - restored
    errors: NDArray[np.float64] = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255**2
    return errors


def auroc(normal: NDArray[np.float64], anomalous: NDArray[np.float64]) -> float:
    """Return the chance that an anomalous image has a higher score than a normal one; equal scores count half."""
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, anomalous, "left") + np.searchsorted(ordered, anomalous, "right")
    return float(below.mean() / (2 * len(normal)))


def heat_map(image: Pixels, restored: Pixels) -> Pixels:
    """Return where an image differs from its reconstruction, uint8 [H, W, 3]: black is equal, white is opposite.

    The scale is the same for every image, so that maps can be compared.
    """
    difference = np.abs(image.astype(np.int16) - restored).max(axis=2)
    places = [place for place, _ in HEAT]
    planes = [np.interp(np.arange(256), places, [color[plane] for _, color in HEAT]) for plane in range(3)]
    colors: Pixels = np.rint(np.stack(planes, axis=1)).astype(np.uint8)
    heat: Pixels = colors[difference]
    return heat
