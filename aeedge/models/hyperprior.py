"""The flagship: a light transform with a scale-and-mean hyperprior whose tables are chosen exactly.

The transform follows "Variational image compression with a scale hyperprior" (arXiv 1802.01436) and "Joint
autoregressive and hierarchical priors" (arXiv 1809.02736); the gain per quality follows "Asymmetric gained deep image
compression" (arXiv 2003.02012). What differs: nearly all work happens at 1/8 and 1/16 resolution, the linear path
starts as an orthonormal transform (`aeedge.models.transform`), and the prior (`aeedge.models.exact_prior`) is exact.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.configuration import Configuration
from aeedge.models.base import MOST_BLOCKS, require_channels, require_sizes
from aeedge.models.exact_prior import ExactPrior, HyperEncoder, Prior, PriorConfig
from aeedge.models.orthonormal import require_coefficients
from aeedge.models.padded import PaddedConv2d, Padding
from aeedge.models.transform import Decoder, Encoder, TransformAutoencoder
from aeedge_runtime.errors import ArgumentError

PIXEL_GAIN = 4.0
"""The transform works on 4 (x - 1/2), so that its typical coefficient is near one."""


@dataclass(frozen=True)
class HyperpriorConfig(Configuration):
    """Sizes of the flagship network.

    Attributes:
        family: "hyperprior".
        channels: image channels, 1 or 3.
        width: channels at 1/8 resolution, at most 64 for each image channel.
        latent_channels: channels of the latent, at 1/16 resolution, at most 4 * width.
        hidden: hidden width of a residual block in the encoder.
        decoder_hidden: hidden width of a residual block in the decoder at 1/8 resolution.
        decoder_width: channels of the decoder at 1/8 resolution, at most `width`; null for `width`. A narrow decoder
            is faster.
        encoder_blocks: residual blocks of the encoder at 1/8 and at 1/16.
        decoder_blocks: residual blocks of the decoder at 1/16 and at 1/8.
        hyper_channels: channels of the hyper-latent, at 1/64 resolution.
        groups: latent channels of each group of the prior; together all of them.
        group_hidden: hidden width of the prior's later groups, of scale and of mean.
        levels: gain vectors, interpolated for the qualities between them.
        smallest_lambda: weight of 255^2 MSE against bits per pixel at quality 1.
        largest_lambda: the largest that training sees, near quality 80.
        beyond: quality 100 has the steps of a lambda this many times the largest that training sees. Steps keep falling
            as the square root of lambda: on photos 2.8 gives 2 to 2.5 dB more at quality 100.
        padding: what encoder and decoder see outside of the image. Behind "zeros", solid colors are up to 46 levels off
            within 4 pixels of the border; behind "replicate" they are not.
    """

    family: Literal["hyperprior"] = "hyperprior"
    channels: int = 3
    width: int = 128
    latent_channels: int = 320
    hidden: int = 64
    decoder_hidden: int = 96
    decoder_width: int | None = None
    encoder_blocks: tuple[int, int] = (2, 2)
    decoder_blocks: tuple[int, int] = (4, 4)
    hyper_channels: int = 24
    groups: tuple[int, ...] = (32, 48, 80, 160)
    group_hidden: tuple[int, int] = (128, 144)
    levels: int = 12
    smallest_lambda: float = 0.0013
    largest_lambda: float = 0.12
    beyond: float = 2.8
    padding: Padding = "zeros"

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ArgumentError: one that the transform does not have or no layer can have, groups that do not cover the
                latent channels, or lambdas that do not rise.
        """
        require_channels(self.channels, 1, 3)
        require_coefficients(self.channels, self.width, self.latent_channels, "latent_channels")
        require_sizes(self, "hidden", "decoder_hidden", "hyper_channels", "group_hidden")
        require_sizes(self, "encoder_blocks", "decoder_blocks", least=0, most=MOST_BLOCKS)
        require_sizes(self, "levels", least=2)
        if self.decoder_width is not None and not 1 <= self.decoder_width <= self.width:
            raise ArgumentError(
                f"model.decoder_width: found {self.decoder_width}, expected 1..{self.width}, or null for {self.width}"
            )
        if not self.groups or min(self.groups) < 1 or sum(self.groups) != self.latent_channels:
            raise ArgumentError(
                f"model.groups: found {list(self.groups)}, expected numbers from 1 that sum to the "
                f"{self.latent_channels} latent channels"
            )
        if not 0 < self.smallest_lambda < self.largest_lambda < math.inf:
            raise ArgumentError(
                f"model.smallest_lambda and model.largest_lambda: found {self.smallest_lambda} and "
                f"{self.largest_lambda}, expected 0 < smallest < largest"
            )
        if not 1 <= self.beyond < math.inf:
            raise ArgumentError(f"model.beyond: found {self.beyond}, expected a factor of at least 1")

    @property
    def prior(self) -> PriorConfig:
        """Sizes of the prior."""
        return PriorConfig(self.latent_channels, self.hidden, self.hyper_channels, self.groups, self.group_hidden)


class ResidualBlock(nn.Module):
    """1x1, 3x3, 1x1 around an identity; the last layer starts at zero, so that the block starts as the identity."""

    def __init__(self, width: int, hidden: int, padding: Padding = "zeros") -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width, hidden, 1)
        self.spread = PaddedConv2d(hidden, hidden, 3, padding=1, padding_mode=padding)
        self.widen = nn.Conv2d(hidden, width, 1)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)  # type: ignore[arg-type]

    def forward(self, value: Tensor) -> Tensor:
        """Map `[N, width, H, W]` to the same shape."""
        hidden = functional.relu(self.narrow(value))
        change: Tensor = self.widen(functional.relu(self.spread(hidden)))
        return value + change


class HyperpriorAutoencoder(TransformAutoencoder):
    """Encoder, decoder, hyper-encoder, prior and the gain vectors of one variable-rate image codec."""

    config: HyperpriorConfig

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__(config)
        sizes = (config.channels, config.width, config.latent_channels)
        padding = config.padding
        block = partial(ResidualBlock, hidden=config.hidden, padding=padding)
        self.encoder = Encoder(*sizes, config.encoder_blocks, block, down_size=3, gain=PIXEL_GAIN, padding=padding)
        block = partial(ResidualBlock, hidden=config.decoder_hidden, padding=padding)
        kept = config.decoder_width
        self.decoder = Decoder(*sizes, config.decoder_blocks, block, gain=PIXEL_GAIN, padding=padding, kept=kept)
        self.hyper_encoder = HyperEncoder(config.prior)
        self.prior = Prior(config.prior)
        position = torch.linspace(0, 1, config.levels)[:, None]
        lambdas = config.smallest_lambda * (config.largest_lambda / config.smallest_lambda) ** position
        steps = torch.sqrt(26 / lambdas) / 255 * PIXEL_GAIN
        self.log_steps = nn.Parameter(steps.log().repeat(1, config.latent_channels))

    @property
    def latent_channels(self) -> int:
        """Latent channels."""
        return self.config.latent_channels

    @property
    def exact_prior(self) -> ExactPrior:
        """The prior of the latent; it shares this model's weights."""
        return ExactPrior(self.config.prior, self.hyper_encoder, self.prior)

    def steps(self, position: Tensor) -> Tensor:
        """Return quantizer steps `[N, c]` at positions `[N]` from the smallest lambda (0.0) to the largest (1.0)."""
        place = position.clamp(0, 1) * (self.config.levels - 1)
        below = place.floor().long().clamp(max=self.config.levels - 2)
        share = (place - below)[:, None]
        return torch.exp(self.log_steps[below] * (1 - share) + self.log_steps[below + 1] * share)

    def steps_for_quality(self, qualities: int = 100) -> Tensor:
        """Return quantizer steps `[qualities, c]`, coarsest first, even in the logarithm of lambda up to `beyond`."""
        ratio = self.config.largest_lambda / self.config.smallest_lambda
        position = torch.linspace(0, 1 + math.log(self.config.beyond) / math.log(ratio), qualities)
        beyond = (self.lambda_at(position) / self.config.largest_lambda).clamp(min=1)
        return (self.steps(position) / beyond.sqrt()[:, None]).detach()

    def lambda_at(self, position: Tensor) -> Tensor:
        """Return the weight of 255^2 MSE against bits per pixel at positions `[N]`."""
        ratio = self.config.largest_lambda / self.config.smallest_lambda
        return self.config.smallest_lambda * ratio**position
