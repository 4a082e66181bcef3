"""The flagship: a light transform with a two-pass scale-and-mean hyperprior whose tables are chosen exactly.

The transform follows "Variational image compression with a scale hyperprior" (arXiv 1802.01436) and "Joint
autoregressive and hierarchical priors" (arXiv 1809.02736); the two-pass context is the checkerboard of arXiv
2103.15306; the gain per quality follows "Asymmetric gained deep image compression" (arXiv 2003.02012). What differs:
nearly all work happens at 1/8 and 1/16 resolution, the linear path starts as an orthonormal transform (DCT, then
Haar), and the branch that selects the frequency tables computes in exact integers (`aeedge.models.exact`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.configuration import Configuration
from aeedge.models.base import Autoencoder
from aeedge.models.exact import ACTIVATION_UNITS, ExactConv2d, activate, straight_through
from aeedge.models.orthonormal import analysis_matrices
from aeedge.models.prior_passes import FirstPass, SecondPass

SCALES = 64
"""Number of scales the prior chooses from, one frequency table each."""

SMALLEST_SCALE = 0.11
LARGEST_SCALE = 128.0

HYPER_LIMIT = 127
"""Hyper-symbols are clipped to -127 .. 127."""

CONTEXT_LIMIT = 15
"""Magnitude at which decoded symbols are clipped before the exact network sees them."""

SOFT_LIMIT = 8.0
"""Magnitude, in quantiser steps, that the hyper-encoder's input approaches but never reaches."""

PIXEL_GAIN = 4.0
"""The transform works on 4 (x - 1/2), so that its typical coefficient is near one."""


@dataclass(frozen=True)
class HyperpriorConfig(Configuration):
    """Sizes of the flagship network.

    Attributes:
        family: "hyperprior".
        channels: image channels, 3.
        width: channels at 1/8 resolution.
        latent_channels: channels of the latent, at 1/16 resolution.
        hidden: hidden width of a residual block in the encoder.
        decoder_hidden: hidden width of a residual block in the decoder at 1/8 resolution.
        encoder_blocks: residual blocks of the encoder at 1/8 and at 1/16.
        decoder_blocks: residual blocks of the decoder at 1/16 and at 1/8.
        hyper_channels: channels of the hyper-latent, at 1/64 resolution.
        levels: gain vectors, interpolated for the qualities between them.
        smallest_lambda: weight of 255^2 MSE against bits per pixel at quality 1.
        largest_lambda: the same at quality 100.
    """

    family: Literal["hyperprior"] = "hyperprior"
    channels: int = 3
    width: int = 128
    latent_channels: int = 320
    hidden: int = 64
    decoder_hidden: int = 96
    encoder_blocks: tuple[int, int] = (2, 2)
    decoder_blocks: tuple[int, int] = (3, 4)
    hyper_channels: int = 24
    levels: int = 12
    smallest_lambda: float = 0.0013
    largest_lambda: float = 0.12


class ResidualBlock(nn.Module):
    """1x1, 3x3, 1x1 around an identity; the last layer starts at zero, so that the block starts as the identity."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width, hidden, 1)
        self.spread = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.widen = nn.Conv2d(hidden, width, 1)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)  # type: ignore[arg-type]

    def forward(self, value: Tensor) -> Tensor:
        """Map `[N, width, H, W]` to the same shape."""
        hidden = functional.relu(self.narrow(value))
        change: Tensor = self.widen(functional.relu(self.spread(hidden)))
        return value + change


class Encoder(nn.Module):
    """Image `[N, 3, H, W]` in 0..1 to latent `[N, c, H/16, W/16]`."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        width, latent = config.width, config.latent_channels
        self.stem = nn.Conv2d(config.channels, width, 12, stride=8, padding=2)
        self.fine = nn.Sequential(*[ResidualBlock(width, config.hidden) for _ in range(config.encoder_blocks[0])])
        self.down = nn.Conv2d(width, latent, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(*[ResidualBlock(latent, config.hidden) for _ in range(config.encoder_blocks[1])])
        stem, down = analysis_matrices(width, latent)
        with torch.no_grad():
            for layer in (self.stem, self.down):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.stem.weight[:, :, 2:10, 2:10] = stem.reshape(width, 3, 8, 8)
            self.down.weight[:, :, 1:, 1:] = down.reshape(latent, width, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Analyse the image."""
        value = self.fine(self.stem((image - 0.5) * PIXEL_GAIN))
        latent: Tensor = self.coarse(self.down(value))
        return latent


class Decoder(nn.Module):
    """Latent `[N, c, h, w]` to image `[N, 3, 16h, 16w]`, nominally in 0..1."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        width, latent = config.width, config.latent_channels
        coarse, fine = config.decoder_blocks
        self.coarse = nn.Sequential(*[ResidualBlock(latent, config.decoder_hidden) for _ in range(coarse)])
        self.up = nn.Conv2d(latent, 4 * width, 1)
        self.fine = nn.Sequential(*[ResidualBlock(width, config.decoder_hidden) for _ in range(fine)])
        self.head = nn.Conv2d(width, 64 * config.channels, 3, padding=1)
        stem, down = analysis_matrices(width, latent)
        with torch.no_grad():
            for layer in (self.up, self.head):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.up.weight[:, :, 0, 0] = down.T
            self.head.weight[:, :, 1, 1] = stem.T

    def forward(self, latent: Tensor) -> Tensor:
        """Synthesise the image."""
        value = self.fine(functional.pixel_shuffle(self.up(self.coarse(latent)), 2))
        return functional.pixel_shuffle(self.head(value), 8) / PIXEL_GAIN + 0.5


class HyperEncoder(nn.Module):
    """Latent in quantiser steps `[N, c, h, w]` to hyper-latent `[N, cz, ceil(h/4), ceil(w/4)]`."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.mix = nn.Conv2d(config.latent_channels, hidden, 1)
        self.down = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1)
        self.code = nn.Conv2d(hidden, config.hyper_channels, 3, stride=2, padding=1)
        with torch.no_grad():
            self.code.weight.mul_(4)

    def forward(self, latent_steps: Tensor) -> Tensor:
        """Summarise the latent, whose range over the qualities a soft sign tames."""
        tamed = latent_steps / (1 + latent_steps.abs() / SOFT_LIMIT)
        value = functional.relu(self.mix(tamed))
        code: Tensor = self.code(functional.relu(self.down(value)))
        return code


class ScaleBranch(nn.Module):
    """Hyper-symbols and decoded symbols to a table index 0..63 per latent element, in exact integers."""

    context_limit = CONTEXT_LIMIT
    largest_index = SCALES - 1

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        latent = config.latent_channels
        self.first = ExactConv2d(config.hyper_channels, 128, 3)
        self.second = ExactConv2d(32, 256, 3)
        self.context_mix = ExactConv2d(latent, 48, 1)
        self.context = ExactConv2d(48, 64, 3)
        self.trunk = ExactConv2d(64 + 64 + 1, 96, 1)
        self.index = ExactConv2d(96, latent, 1, gain=0.25)
        nn.init.constant_(self.index.bias, 4.0)

    def forward(self, hyper_symbols: Tensor, context_symbols: Tensor, known: Tensor) -> Tensor:
        """Return the index as float32 `[N, c, h, w]`; see `Prior.forward`."""
        height, width = known.shape[2], known.shape[3]
        value = hyper_symbols.clamp(-HYPER_LIMIT, HYPER_LIMIT) / 4
        value = functional.pixel_shuffle(activate(self.first(value)), 2)
        value = functional.pixel_shuffle(activate(self.second(value)), 2)[:, :, :height, :width]
        magnitude = context_symbols.abs().clamp(0, self.context_limit)
        context = activate(self.context(activate(self.context_mix(magnitude))))
        value = activate(self.trunk(torch.cat([value, context, known], dim=1)))
        index = 4 * self.index(value)
        return straight_through(index.floor(), index).clamp(0, self.largest_index)

    def largest_sum(self) -> int:
        """Return the largest possible partial sum of any layer, in units of 1/1024 (the bound is 2^24)."""
        inputs = {"first": HYPER_LIMIT / 4, "context_mix": float(CONTEXT_LIMIT)}
        layers = {name: layer for name, layer in self.named_children() if isinstance(layer, ExactConv2d)}
        default = 255 / ACTIVATION_UNITS
        return max(layer.largest_sum(inputs.get(name, default)) for name, layer in layers.items())


class MeanBranch(nn.Module):
    """Hyper-symbols and decoded latent to the expected latent, in quantiser steps; ordinary floating point."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        latent = config.latent_channels
        self.first = nn.Conv2d(config.hyper_channels, 192, 3, padding=1)
        self.second = nn.Conv2d(48, 256, 3, padding=1)
        self.context_mix = nn.Conv2d(latent, 48, 1)
        self.context = nn.Conv2d(48, 96, 3, padding=1)
        self.trunk = nn.Conv2d(64 + 96 + 1, 128, 1)
        self.mean = nn.Conv2d(128, latent, 1)
        with torch.no_grad():
            self.mean.weight.mul_(0.1)

    def forward(self, hyper_symbols: Tensor, context_latent: Tensor, known: Tensor) -> Tensor:
        """Return the mean `[N, c, h, w]` in quantiser steps; see `Prior.forward`."""
        height, width = known.shape[2], known.shape[3]
        value = functional.pixel_shuffle(functional.relu(self.first(hyper_symbols / 4)), 2)
        value = functional.pixel_shuffle(functional.relu(self.second(value)), 2)[:, :, :height, :width]
        context = functional.relu(self.context(self.context_mix(context_latent)))
        value = functional.relu(self.trunk(torch.cat([value, context, known], dim=1)))
        mean: Tensor = self.mean(value)
        return mean


class Prior(nn.Module):
    """What is expected of the symbols, given the hyper-symbols and the symbols already decoded."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        self.scale = ScaleBranch(config)
        self.mean = MeanBranch(config)

    def forward(
        self, hyper_symbols: Tensor, context_symbols: Tensor, context_latent: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict table index and mean of every latent element.

        Args:
            hyper_symbols: integers in float32 `[N, cz, ceil(h/4), ceil(w/4)]`.
            context_symbols: symbols decoded so far, zero elsewhere, float32 `[N, c, h, w]`.
            context_latent: symbol plus mean where decoded, zero elsewhere, in quantiser steps `[N, c, h, w]`.
            known: 1 where decoded, else 0, float32 `[N, 1, h, w]`.

        Returns:
            Table index 0..63 (float32, integral) and mean in quantiser steps, both `[N, c, h, w]`.
        """
        with torch.autocast(hyper_symbols.device.type, enabled=False):
            index = self.scale(hyper_symbols, context_symbols, known)
        return index, self.mean(hyper_symbols, context_latent, known)


class HyperpriorAutoencoder(Autoencoder):
    """Encoder, decoder, hyper-encoder, prior and the gain vectors of one variable-rate image codec."""

    config: HyperpriorConfig
    hyper_stride = 4
    passes = 2

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.hyper_encoder = HyperEncoder(config)
        self.prior = Prior(config)
        position = torch.linspace(0, 1, config.levels)[:, None]
        lambdas = config.smallest_lambda * (config.largest_lambda / config.smallest_lambda) ** position
        steps = torch.sqrt(26 / lambdas) / 255 * PIXEL_GAIN
        self.log_steps = nn.Parameter(steps.log().repeat(1, config.latent_channels))

    @property
    def channels(self) -> int:
        """Image channels."""
        return self.config.channels

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels per latent position."""
        return (16, 16)

    @property
    def latent_channels(self) -> int:
        """Latent channels."""
        return self.config.latent_channels

    def encode(self, image: Tensor) -> Tensor:
        """Image `[N, 3, H, W]` in 0..1, sizes multiples of 16, to latent `[N, c, H/16, W/16]`."""
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `[N, c, h, w]` to image `[N, 3, 16h, 16w]`, nominally in 0..1, not clamped."""
        image: Tensor = self.decoder(latent)
        return image

    def hyper_encode(self, latent_steps: Tensor) -> Tensor:
        """Latent in quantiser steps to hyper-latent `[N, cz, ceil(h/4), ceil(w/4)]`, to be rounded."""
        hyper: Tensor = self.hyper_encoder(latent_steps)
        return hyper

    def prior_passes(self) -> tuple[FirstPass, SecondPass]:
        """Return the prior as a codec runs it, with copies of its weights."""
        return FirstPass(self.prior), SecondPass(self.prior)

    def steps(self, position: Tensor) -> Tensor:
        """Quantiser steps `[N, c]` at positions `[N]` between quality 1 (0.0) and quality 100 (1.0)."""
        place = position.clamp(0, 1) * (self.config.levels - 1)
        below = place.floor().long().clamp(max=self.config.levels - 2)
        share = (place - below)[:, None]
        return torch.exp(self.log_steps[below] * (1 - share) + self.log_steps[below + 1] * share)

    def steps_for_quality(self, qualities: int = 100) -> Tensor:
        """Quantiser steps `[qualities, c]`, coarsest first."""
        return self.steps(torch.linspace(0, 1, qualities)).detach()

    def lambda_at(self, position: Tensor) -> Tensor:
        """Weight of 255^2 MSE against bits per pixel at positions `[N]`."""
        ratio = self.config.largest_lambda / self.config.smallest_lambda
        return self.config.smallest_lambda * ratio**position


def table_scale(index: Tensor) -> Tensor:
    """Standard deviation, in quantiser steps, that a table index stands for: log-spaced from 0.11 to 128."""
    ratio = math.log(LARGEST_SCALE / SMALLEST_SCALE)
    return SMALLEST_SCALE * torch.exp(index * (ratio / (SCALES - 1)))


def checkerboard(latent: Tensor) -> Tensor:
    """Return 1 where (row + column) is even, else 0, float32 `[N, 1, h, w]`: the positions of the first pass."""
    count, _, height, width = latent.shape
    rows = torch.arange(height, device=latent.device)[:, None]
    columns = torch.arange(width, device=latent.device)
    return ((rows + columns + 1) % 2).float().expand(count, 1, height, width)
