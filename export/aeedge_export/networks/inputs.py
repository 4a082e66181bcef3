"""Inputs that encoders take other than float images: flat vectors and whole numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aeedge_export.networks.geometry import Size
from aeedge_export.networks.pixels import RANGES, PixelRange


class WholeNumbers(nn.Module):
    """An encoder that takes uint8 pixels."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        """Round pixels in 0..255 and encode them."""
        found: Tensor = self.encoder(image.round().clamp(0, 255).to(torch.uint8))
        return found


@dataclass(frozen=True)
class Input:
    """A way to feed an encoder.

    Attributes:
        encoder: takes float images.
        pixels: numbers that it expects.
        channels: image channels, if the encoder shows them.
        patch: the only size that it takes, if the encoder shows it.
    """

    encoder: nn.Module
    pixels: PixelRange
    channels: int | None = None
    patch: Size | None = None


def possible_inputs(encoder: nn.Module, pixels: PixelRange) -> Iterator[Input]:
    """Yield the ways to feed an encoder, most likely first: float images, flat images, uint8 images."""
    yield Input(encoder, pixels)
    first = next((part for part in encoder.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    if isinstance(first, nn.Linear):
        for channels in (1, 3):
            side = math.isqrt(first.in_features // channels)
            if channels * side**2 == first.in_features:
                yield Input(nn.Sequential(nn.Flatten(), encoder), pixels, channels, (side, side))
    if pixels.name in ("unit", "bytes"):
        yield Input(WholeNumbers(encoder), RANGES["bytes"])
