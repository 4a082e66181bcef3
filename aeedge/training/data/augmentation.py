"""Cuts training samples from images; shrinks, turns, mirrors and recolors them on the way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge.training import randomness
from aeedge.training.data.recoloring import recolor

SHRUNK_SHARE = 0.5
"""Share of the samples that are shrunk where shrinking is requested; the others keep the pixels that the file has."""

DRAWS = 8
"""Uniform numbers that one sample takes."""


@dataclass(frozen=True)
class Augmentation:
    """Random crops of one size.

    Attributes:
        size: rows and columns of a sample.
        flip: mirror half of the samples left to right.
        turn: mirror half of the samples top to bottom, and transpose half of them where the image has room for that;
            with `flip`, all eight symmetries of the square are equally likely.
        shrink: smallest factor by which half of the samples are shrunk (bicubic, antialiased), uniformly up to 1, never
            so far that the image gets smaller than a sample; 1 shrinks none.
        recolored: share of the samples that get other colors (see `recolor`).
    """

    size: tuple[int, int]
    flip: bool = False
    turn: bool = False
    shrink: float = 1.0
    recolored: float = 0.0

    def sample(self, image: NDArray[np.uint8], draw: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Cut a sample out of an image.

        Args:
            image: uint8 [H, W, C], at least as large as a sample.
            draw: float32 [8], uniform in [0, 1): row, column, mirror, upside down, transpose, factor, whether to
                recolor, how.

        Returns:
            uint8 of `size` rows and columns, and C.
        """
        size = self.size
        transpose = self.turn and draw[4] < 0.5 and image.shape[0] >= size[1] and image.shape[1] >= size[0]
        if transpose:
            size = size[1], size[0]
        factor = self.shrink + (1 - self.shrink) * min(1.0, float(draw[5]) / SHRUNK_SHARE)
        factor = max(factor, size[0] / image.shape[0], size[1] / image.shape[1])
        cut = _crop(image, size, draw) if factor >= 1 else _shrunk_crop(image, size, draw, factor)
        if transpose:
            cut = cut.transpose(1, 0, 2)
        if self.turn and draw[3] < 0.5:
            cut = cut[::-1]
        if self.flip and draw[2] < 0.5:
            cut = cut[:, ::-1]
        return recolor(cut, randomness.generator(int(draw[7] * 2**24), "recolor")) if draw[6] < self.recolored else cut


def _crop(image: NDArray[np.uint8], size: tuple[int, int], draw: NDArray[np.float32]) -> NDArray[np.uint8]:
    top = int(draw[0] * (image.shape[0] - size[0] + 1))
    left = int(draw[1] * (image.shape[1] - size[1] + 1))
    return image[top : top + size[0], left : left + size[1]]


def _shrunk_crop(
    image: NDArray[np.uint8], size: tuple[int, int], draw: NDArray[np.float32], factor: float
) -> NDArray[np.uint8]:
    """Resample a larger window, so that only the pixels of the sample are computed."""
    rows, columns = min(size[0] / factor, image.shape[0]), min(size[1] / factor, image.shape[1])
    top, left = float(draw[0]) * (image.shape[0] - rows), float(draw[1]) * (image.shape[1] - columns)
    box = left, top, min(left + columns, image.shape[1]), min(top + rows, image.shape[0])  # sums round
    planes = [
        np.asarray(Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))
        for plane in np.moveaxis(image, 2, 0)
    ]
    return np.stack(planes, axis=2)
