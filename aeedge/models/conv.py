"""A fully convolutional autoencoder for images of any size.

The linear path starts as an orthonormal transform (colour rotation, 8x8 DCT, Haar), which the residual blocks, zero
at first, then bend: training starts at the quality of a classical transform codec. Convolutions are dense: on CPUs with
matrix units they run a hundred times faster per multiply than depthwise ones.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.configuration import Configuration
from aeedge.models.base import MOST_BLOCKS, Autoencoder, require_channels, require_sizes
from aeedge.models.orthonormal import analysis_matrices, require_coefficients
from aeedge_runtime.errors import ArgumentError

STEM_STRIDE = 8


@dataclass(frozen=True)
class ConvConfig(Configuration):
    """Sizes of a fully convolutional autoencoder.

    Attributes:
        family: "conv".
        channels: image channels, 3.
        width: channels at 1/8 resolution, at most 192.
        latent: channels of the latent at 1/16 resolution, at most 4 * width.
        hidden: hidden width of a residual block.
        encoder_blocks: residual blocks of the encoder at 1/8 and at 1/16.
        decoder_blocks: residual blocks of the decoder at 1/16 and at 1/8.
        gain: factor between pixels in 0..1 and the transform; with it a step of 1 is a usual quantiser step.
    """

    family: Literal["conv"] = "conv"
    channels: int = 3
    width: int = 96
    latent: int = 128
    hidden: int = 48
    encoder_blocks: tuple[int, int] = (1, 1)
    decoder_blocks: tuple[int, int] = (1, 2)
    gain: float = 16.0

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ArgumentError: one that the transform does not have or no layer can have, or a gain that is not above 0.
        """
        require_channels(self.channels, 3)
        require_coefficients(self.width, self.latent, "latent")
        require_sizes(self, "hidden")
        require_sizes(self, "encoder_blocks", "decoder_blocks", least=0, most=MOST_BLOCKS)
        if not 0 < self.gain < math.inf:
            raise ArgumentError(f"model.gain: found {self.gain}, expected a number above 0")


class ResidualBlock(nn.Module):
    """A 3x3 convolution into a narrower space and a 1x1 back, added to its input [N, width, h, w]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, hidden, 3, padding=1)
        self.outer = nn.Conv2d(hidden, width, 1)
        nn.init.zeros_(self.outer.weight)  # the block starts as the identity
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, value: Tensor) -> Tensor:
        """Return the value and what the block adds to it."""
        changed: Tensor = self.outer(functional.leaky_relu(self.inner(value), 0.1))
        return value + changed


class ConvEncoder(nn.Module):
    """Stem of stride 8, blocks, a layer of stride 2, blocks: [N, 3, H, W] to [N, latent, H / 16, W / 16]."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        self.gain = config.gain
        self.stem = nn.Conv2d(config.channels, config.width, 12, stride=STEM_STRIDE, padding=2)
        self.fine = _blocks(config.encoder_blocks[0], config.width, config.hidden)
        self.down = nn.Conv2d(config.width, config.latent, 2, stride=2)
        self.coarse = _blocks(config.encoder_blocks[1], config.latent, config.hidden)
        stem, down = analysis_matrices(config.width, config.latent)
        with torch.no_grad():
            for layer in (self.stem, self.down):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.stem.weight[:, :, 2:10, 2:10] = stem.reshape(config.width, 3, 8, 8)
            self.down.weight.copy_(down.reshape(config.latent, config.width, 2, 2))

    def forward(self, image: Tensor) -> Tensor:
        """Return the latent of images in 0..1."""
        value = self.fine(self.stem((image - 0.5) * self.gain))
        latent: Tensor = self.coarse(self.down(value))
        return latent


class ConvDecoder(nn.Module):
    """The encoder's mirror with sub-pixel convolutions: [N, latent, h, w] to [N, 3, 16 h, 16 w]."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        self.gain = config.gain
        self.coarse = _blocks(config.decoder_blocks[0], config.latent, config.hidden)
        self.up = nn.Conv2d(config.latent, 4 * config.width, 1)
        self.fine = _blocks(config.decoder_blocks[1], config.width, config.hidden)
        self.head = nn.Conv2d(config.width, config.channels * STEM_STRIDE**2, 3, padding=1)
        stem, down = analysis_matrices(config.width, config.latent)
        with torch.no_grad():
            for layer in (self.up, self.head):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.up.weight[:, :, 0, 0] = down.T
            self.head.weight[:, :, 1, 1] = stem.T

    def forward(self, latent: Tensor) -> Tensor:
        """Return images, nominally in 0..1."""
        value = self.fine(functional.pixel_shuffle(self.up(self.coarse(latent)), 2))
        return functional.pixel_shuffle(self.head(value), STEM_STRIDE) / self.gain + 0.5


class ConvAutoencoder(Autoencoder):
    """The fully convolutional autoencoder that a `ConvConfig` describes; stride 16."""

    config: ConvConfig

    def __init__(self, config: ConvConfig) -> None:
        super().__init__(config)
        self.encoder = ConvEncoder(config)
        self.decoder = ConvDecoder(config)

    @property
    def channels(self) -> int:
        """Image channels."""
        return self.config.channels

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns of pixels per latent position."""
        return 2 * STEM_STRIDE, 2 * STEM_STRIDE

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.config.latent

    def encode(self, image: Tensor) -> Tensor:
        """Return the latent [N, c, H / 16, W / 16] of images [N, 3, H, W] in 0..1."""
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Return images [N, 3, 16 h, 16 w], nominally in 0..1, of latents [N, c, h, w]."""
        image: Tensor = self.decoder(latent)
        return image


def _blocks(count: int, width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(width, hidden) for _ in range(count)])
