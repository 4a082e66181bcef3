"""MS-SSIM in NumPy and SciPy: "Multiscale structural similarity for image quality assessment" (Wang et al., 2003).

Borders as in torchmetrics 1.9, which it equals to 1e-4: contrast is taken where the window fits, similarity at the
coarsest scale everywhere, the image being mirrored. PSNR is `aeedge_runtime.rate_search.psnr_db`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from aeedge_runtime.errors import ArgumentError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponent of each scale, finest first."""

RADIUS = 5
SIGMA = 1.5
"""The window: 11 by 11, Gaussian."""

LEAST_SIDE = 176
"""Fewest rows and columns: the coarsest scale is 1/16 and must hold the 11 of a window."""

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Pixels = NDArray[np.uint8]
Planes = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class _Scale:
    """What a scale of the original contributes; planes are float32 [C, h, w]."""

    planes: Planes
    mean: Planes
    mean_square: Planes


@dataclass(frozen=True, eq=False)
class Reference:
    """An original, prepared to be compared with many decoded images: its own filters run once."""

    shape: tuple[int, ...]
    scales: tuple[_Scale, ...]

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """Prepare a reference, uint8 [H, W, C].

        Raises:
            ArgumentError: a side is shorter than LEAST_SIDE.
        """
        if min(pixels.shape[:2]) < LEAST_SIDE:
            raise ArgumentError(
                f"MS-SSIM: image is {pixels.shape[1]}x{pixels.shape[0]}, expected at least {LEAST_SIDE} a side"
            )
        return cls(
            pixels.shape, tuple(_Scale(planes, _blur(planes), _blur(planes * planes)) for planes in _pyramid(pixels))
        )

    def ms_ssim(self, restored: Pixels) -> float:
        """Return the MS-SSIM, 0..1, of uint8 [H, W, C]: the mean over channels.

        Raises:
            ArgumentError: another shape than the original's.
        """
        if restored.shape != self.shape:
            raise ArgumentError(f"MS-SSIM: restored is {restored.shape}, expected {self.shape} as the original")
        product = 1.0
        for number, (scale, planes) in enumerate(zip(self.scales, _pyramid(restored), strict=True)):
            similarity, contrast = _compare(scale, planes)
            if number + 1 < len(WEIGHTS):
                value = float(contrast[:, RADIUS:-RADIUS, RADIUS:-RADIUS].mean(dtype=np.float64))
            else:
                value = float((similarity * contrast).mean(dtype=np.float64))
            product *= max(value, 0.0) ** WEIGHTS[number]
        return product


def ms_ssim(original: Pixels, restored: Pixels) -> float:
    """Return the MS-SSIM, 0..1, of two images, uint8 [H, W, C]; see Reference."""
    return Reference.of(original).ms_ssim(restored)


def in_decibels(value: float) -> float:
    """-10 log10(1 - MS-SSIM), which spreads out the values near 1."""
    return float(-10 * np.log10(max(1 - value, 1e-10)))


def _compare(scale: _Scale, planes: Planes) -> tuple[Planes, Planes]:
    """Return the luminance and contrast-structure terms at every pixel."""
    mean = _blur(planes)
    both = scale.mean * mean
    squares = scale.mean * scale.mean + mean * mean
    variances = np.maximum(scale.mean_square - scale.mean * scale.mean, 0)
    variances += np.maximum(_blur(planes * planes) - mean * mean, 0)
    covariance = _blur(scale.planes * planes) - both
    luminance: Planes = (2 * both + C1) / (squares + C1)
    structure: Planes = (2 * covariance + C2) / (variances + C2)
    return luminance, structure


def _pyramid(pixels: Pixels) -> list[Planes]:
    """Return the planes of every scale, float32 [C, h, w]: each the 2x2 mean of the one before."""
    planes = [np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)]
    for _ in WEIGHTS[1:]:
        last = planes[-1]
        even = last[:, : last.shape[1] // 2 * 2, : last.shape[2] // 2 * 2]
        quarters = even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]
        planes.append(quarters * np.float32(0.25))
    return planes


def _blur(planes: Planes) -> Planes:
    rows: Planes = correlate1d(planes, _WINDOW, axis=1, mode="mirror", output=np.float32)
    columns: Planes = correlate1d(rows, _WINDOW, axis=2, mode="mirror", output=np.float32)
    return columns


def _window() -> NDArray[np.float64]:
    places = np.arange(-RADIUS, RADIUS + 1)
    values = np.exp(-((places / SIGMA) ** 2) / 2)
    return np.asarray(values / values.sum())


_WINDOW = _window()
