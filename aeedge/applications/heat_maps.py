"""Draws where an image is anomalous: colors over the image, and a line around what is above the threshold."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

HEAT = np.array([(0, 0, 0), (160, 0, 0), (255, 150, 0), (255, 255, 160)], np.float32)
"""Colors at 0, at a half, at once and at twice the threshold."""

LINE = (0, 255, 255)


def overlay(image: Pixels, unusual: NDArray[np.float32], threshold: float) -> Pixels:
    """Return an image with its anomalies, uint8 [H, W, 3].

    Args:
        image: uint8 [H, W, C].
        unusual: float32 [H, W], larger where the image is more unusual.
        threshold: the line goes around larger values.
    """
    share = np.clip(unusual / max(threshold, 1e-9), 0, 2)
    colors = np.stack([np.interp(share, (0, 0.5, 1, 2), HEAT[:, plane]) for plane in range(3)], axis=2)
    weight = np.clip(share - 0.25, 0, 0.6)[..., None]
    gray = image.mean(axis=2, keepdims=True)
    drawn: Pixels = np.rint((1 - weight) * gray + weight * colors).astype(np.uint8)
    drawn[_outline(unusual > threshold)] = LINE
    return drawn


def _outline(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the marked positions that have an unmarked neighbor."""
    framed = np.pad(marked, 1, constant_values=True)
    inside = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    outline: NDArray[np.bool_] = marked & ~inside
    return outline
