"""SSIMULACRA2, the score that follows people's ratings of compressed photographs most closely of all that are free.

The score comes from the package `ssimulacra2`: 100 for equal images, 90 where no difference is seen when flickering
between them, 70 for high, 50 for medium and 30 for low quality, below 0 for the worst.
"""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEAST_SIDE = 128
"""Fewest rows and columns: the coarsest scale that counts is 1/16, and must have 8."""


def is_installed() -> bool:
    """Whether the package is there; `pip install aeedge[report]` brings it."""
    return find_spec("ssimulacra2") is not None


def ssimulacra2(original: NDArray[np.uint8], restored: NDArray[np.uint8]) -> float:
    """Return the score of an image, uint8 [H, W, C], gray or RGB; both sides are at least LEAST_SIDE."""
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(_file(original), _file(restored)))


def _file(pixels: NDArray[np.uint8]) -> io.BytesIO:
    """Hand pixels over as the package takes them."""
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "BMP")
    file.seek(0)
    return file
