"""The transform of `conv` and `hyperprior`: a stem of stride 8, a layer of stride 2, and residual blocks after each.

The linear path starts as an orthonormal transform (color rotation, 8x8 DCT, Haar), which the residual blocks, zero at
first, then bend: training starts at the quality of a classical transform codec.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.models.base import Autoencoder
from aeedge.models.orthonormal import analysis_matrices
from aeedge.models.padded import PaddedConv2d, Padding

STEM_STRIDE = 8

Block = Callable[[int], nn.Module]
"""Makes a residual block [N, width, h, w] -> the same shape, of a width."""


class Encoder(nn.Module):
    """Map images [N, C, H, W] in 0..1 to latents [N, latent, H / 16, W / 16].

    Args:
        channels: image channels C.
        width: channels at 1/8 resolution.
        latent: channels at 1/16 resolution.
        blocks: residual blocks at 1/8 and at 1/16.
        block: makes one.
        down_size: rows and columns of the layer of stride 2: 2, or 3 with a border.
        gain: factor between pixels and the transform.
        padding: of the stem and of the layer of stride 2.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        latent: int,
        blocks: tuple[int, int],
        block: Block,
        down_size: int,
        gain: float,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.gain = gain
        self.stem = PaddedConv2d(channels, width, 12, stride=STEM_STRIDE, padding=2, padding_mode=padding)
        self.fine = _sequence(blocks[0], width, block)
        self.down = PaddedConv2d(width, latent, down_size, stride=2, padding=down_size - 2, padding_mode=padding)
        self.coarse = _sequence(blocks[1], latent, block)
        stem, down = analysis_matrices(channels, width, latent)
        _set_to_zero(self.stem, self.down)
        with torch.no_grad():
            self.stem.weight[:, :, 2:10, 2:10] = stem.reshape(width, channels, STEM_STRIDE, STEM_STRIDE)
            self.down.weight[:, :, -2:, -2:] = down.reshape(latent, width, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Return the latent of images in 0..1."""
        value = self.fine(self.stem((image - 0.5) * self.gain))
        latent: Tensor = self.coarse(self.down(value))
        return latent


class Decoder(nn.Module):
    """Map latents [N, latent, h, w] to images [N, C, 16 h, 16 w], nominally in 0..1, by sub-pixel convolutions.

    Args:
        channels: image channels C.
        width: channels at 1/8 resolution.
        latent: channels at 1/16 resolution.
        blocks: residual blocks at 1/16 and at 1/8.
        block: makes one.
        gain: the encoder's.
        padding: of the last layer.
        kept: the first channels at 1/8 resolution that this decoder keeps; None for all.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        latent: int,
        blocks: tuple[int, int],
        block: Block,
        gain: float,
        padding: Padding = "zeros",
        kept: int | None = None,
    ) -> None:
        super().__init__()
        self.gain = gain
        kept = kept or width
        self.coarse = _sequence(blocks[0], latent, block)
        self.up = nn.Conv2d(latent, 4 * kept, 1)
        self.fine = _sequence(blocks[1], kept, block)
        self.head = PaddedConv2d(kept, channels * STEM_STRIDE**2, 3, padding=1, padding_mode=padding)
        stem, down = analysis_matrices(channels, width, latent)
        _set_to_zero(self.up, self.head)
        with torch.no_grad():
            self.up.weight[:, :, 0, 0] = down.T[: 4 * kept]
            self.head.weight[:, :, 1, 1] = stem.T[:, :kept]

    def forward(self, latent: Tensor) -> Tensor:
        """Return images, nominally in 0..1 and not clamped."""
        value = self.fine(functional.pixel_shuffle(self.up(self.coarse(latent)), 2))
        return functional.pixel_shuffle(self.head(value), STEM_STRIDE) / self.gain + 0.5


class TransformAutoencoder(Autoencoder):
    """An autoencoder whose halves are this transform; stride 16."""

    config: Any

    @property
    def channels(self) -> int:
        """Image channels."""
        channels: int = self.config.channels
        return channels

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns of pixels per latent position."""
        return 2 * STEM_STRIDE, 2 * STEM_STRIDE

    def encode(self, image: Tensor) -> Tensor:
        """Return the latent [N, c, H / 16, W / 16] of images [N, C, H, W] in 0..1."""
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Return images [N, C, 16 h, 16 w], nominally in 0..1, of latents [N, c, h, w]."""
        image: Tensor = self.decoder(latent)
        return image


def _sequence(count: int, width: int, block: Block) -> nn.Sequential:
    return nn.Sequential(*[block(width) for _ in range(count)])


def _set_to_zero(*layers: nn.Conv2d) -> None:
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
