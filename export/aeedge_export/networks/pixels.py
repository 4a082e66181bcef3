"""Pixel ranges: the numbers that a network expects for black and white, which cannot be guessed and are declared."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aeedge_runtime.errors import ArgumentError

Bound = float | tuple[float, ...]
Pixels = str | tuple[float, float]


@dataclass(frozen=True)
class PixelRange:
    """Values of black and white.

    Attributes:
        name: "unit", "signed", "bytes", "imagenet" or "LOW..HIGH".
        low: value of 0 of 255, one for all channels or one per channel.
        high: value of 255 of 255.
    """

    name: str
    low: Bound
    high: Bound

    def fits(self, channels: int) -> bool:
        """Return whether the range is for images with this number of channels."""
        return not isinstance(self.low, tuple) or len(self.low) == channels

    def to_network(self, image: Tensor) -> Tensor:
        """Return images `[N, C, H, W]` in 0..1 in the network's numbers."""
        if (self.low, self.high) == (0.0, 1.0):
            return image
        low, high = self._bounds(image)
        return image * (high - low) + low

    def from_network(self, image: Tensor) -> Tensor:
        """Return the network's images `[N, C, H, W]` in 0..1."""
        if (self.low, self.high) == (0.0, 1.0):
            return image
        low, high = self._bounds(image)
        return (image - low) / (high - low)

    def _bounds(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return low and high, `[1, C or 1, 1, 1]`, in the precision of the images."""
        low, high = (
            torch.tensor(bound, dtype=image.dtype, device=image.device).reshape(1, -1, 1, 1)
            for bound in (self.low, self.high)
        )
        return low, high


_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

RANGES = {
    "unit": PixelRange("unit", 0.0, 1.0),
    "signed": PixelRange("signed", -1.0, 1.0),
    "bytes": PixelRange("bytes", 0.0, 255.0),
    "imagenet": PixelRange(
        "imagenet",
        tuple(-mean / spread for mean, spread in zip(_MEAN, _SPREAD, strict=True)),
        tuple((1 - mean) / spread for mean, spread in zip(_MEAN, _SPREAD, strict=True)),
    ),
}
"""Named ranges: 0..1, -1..1, 0..255, and the statistics of ImageNet."""


def pixel_range(value: Pixels) -> PixelRange:
    """Return a range by its name, as "LOW..HIGH" or as two numbers.

    Raises:
        ArgumentError: an unknown name, or bounds that are not finite or equal.
    """
    if isinstance(value, str) and value in RANGES:
        return RANGES[value]
    try:
        low, high = (float(part) for part in (value.split("..") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        low = high = math.nan
    if not math.isfinite(low) or not math.isfinite(high) or low == high:
        raise ArgumentError(f'pixels: found {value!r}, expected {", ".join(RANGES)}, or two numbers as in "-0.5..0.5"')
    return PixelRange(f"{low:g}..{high:g}", low, high)
