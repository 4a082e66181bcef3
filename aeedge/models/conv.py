"""A fully convolutional autoencoder for images of any size: the shared transform with residual blocks of two layers.

Convolutions are dense: on CPUs with matrix units they run a hundred times faster per multiply than depthwise ones.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from aeedge.configuration import Configuration
from aeedge.models.base import MOST_BLOCKS, require_channels, require_sizes
from aeedge.models.orthonormal import require_coefficients
from aeedge.models.transform import Decoder, Encoder, TransformAutoencoder
from aeedge_runtime.errors import ArgumentError


@dataclass(frozen=True)
class ConvConfig(Configuration):
    """Sizes of a fully convolutional autoencoder.

    Attributes:
        family: "conv".
        channels: image channels, 1 or 3.
        width: channels at 1/8 resolution, at most 64 for each image channel.
        latent: channels of the latent at 1/16 resolution, at most 4 * width.
        hidden: hidden width of a residual block.
        encoder_blocks: residual blocks of the encoder at 1/8 and at 1/16.
        decoder_blocks: residual blocks of the decoder at 1/16 and at 1/8.
        gain: factor between pixels in 0..1 and the transform; with it a step of 1 is a usual quantizer step.
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
        require_channels(self.channels, 1, 3)
        require_coefficients(self.channels, self.width, self.latent, "latent")
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


class ConvAutoencoder(TransformAutoencoder):
    """The fully convolutional autoencoder that a `ConvConfig` describes; stride 16."""

    config: ConvConfig

    def __init__(self, config: ConvConfig) -> None:
        super().__init__(config)
        sizes = (config.channels, config.width, config.latent)
        block = partial(ResidualBlock, hidden=config.hidden)
        self.encoder = Encoder(*sizes, config.encoder_blocks, block, down_size=2, gain=config.gain)
        self.decoder = Decoder(*sizes, config.decoder_blocks, block, gain=config.gain)

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.config.latent
