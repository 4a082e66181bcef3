"""Chooses the samples that held-out images are judged by: spread over each image, borders included."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.training.data.mixture import ImageSet

MEASURED = 16
"""Images whose sizes decide how long an epoch of patches is."""


@dataclass(frozen=True)
class SamplePlace:
    """Part of an image: its number and its first row and column."""

    image: int
    top: int
    left: int

    def cut(self, images: ImageSet, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the sample, uint8 [rows, columns, C] of `size`."""
        pixels = images.image(self.image)
        return pixels[self.top : self.top + size[0], self.left : self.left + size[1]]


def spread_samples(images: ImageSet, size: tuple[int, int], most: int) -> list[SamplePlace]:
    """Return samples on a grid over each image: enough to cover it, or each image's share of `most`.

    Args:
        images: none smaller than a sample.
        size: rows and columns of a sample.
        most: samples of all images, as long as each image has at least one.
    """
    share = max(1, most // max(len(images), 1))
    places = []
    for number in range(len(images)):
        shape = images.image(number).shape[:2]
        counts = [-(-whole // part) for whole, part in zip(shape, size, strict=True)]
        while counts[0] * counts[1] > share:
            counts[int(counts[1] > counts[0])] -= 1
        tops, lefts = (_starts(whole - part, count) for whole, part, count in zip(shape, size, counts, strict=True))
        places += [SamplePlace(number, top, left) for top in tops for left in lefts]
    return places


def _starts(last: int, count: int) -> list[int]:
    """Return `count` positions from 0 to `last`, evenly spaced; one is in the middle."""
    if count == 1:
        return [last // 2]
    return [round(place * last / (count - 1)) for place in range(count)]


def patches_per_image(images: ImageSet, size: tuple[int, int]) -> float:
    """Return how many samples of a size cover an image, on average over the first images."""
    areas = [images.image(number)[..., 0].size for number in range(min(len(images), MEASURED))]
    return max(1.0, float(np.mean(areas)) / (size[0] * size[1]))
