"""Photographs in colors that none has: saturated, turned in hue, inverted, with channels exchanged."""

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green and blue in the brightness that a change of hue and saturation keeps (ITU-R BT.601)."""

MOST_SATURATION = 6.0


def recolor(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return an RGB image uint8 [H, W, 3] in other colors; an image of another number of channels is only inverted."""
    values = image.astype(np.float32)
    if random.random() < 0.3:
        values = 255 - values
    if image.shape[2] == 3:
        if random.random() < 0.3:
            values = values[:, :, random.permutation(3)]
        values = values @ _change(random)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _change(random: np.random.Generator) -> NDArray[np.float32]:
    """Return a matrix [3, 3] that turns the hue and stretches the saturation of rows of RGB and keeps gray."""
    angle = random.uniform(0, 2 * np.pi) if random.random() < 0.5 else 0.0
    saturation = float(np.exp(random.uniform(np.log(0.5), np.log(MOST_SATURATION))))
    gray = np.outer(np.ones(3), LUMA)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) / 3
    matrix: NDArray[np.float64] = gray + saturation * (np.eye(3) - gray) @ turn @ (np.eye(3) - gray)
    return matrix.T.astype(np.float32)
