"""The flagship: a light transform with a scale-and-mean hyperprior whose tables are chosen exactly.

The transform follows "Variational image compression with a scale hyperprior" (arXiv 1802.01436) and "Joint
autoregressive and hierarchical priors" (arXiv 1809.02736). Context is the checkerboard of arXiv 2103.15306 in the
first group of channels and the channels before in each later group (arXiv 2007.08739); the gain per quality follows
"Asymmetric gained deep image compression" (arXiv 2003.02012). What differs: nearly all work happens at 1/8 and 1/16
resolution, the linear path starts as an orthonormal transform (DCT, then Haar), and the branch that selects the
frequency tables computes in exact integers (`aeedge.models.exact`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.configuration import Configuration
from aeedge.models.base import MOST_BLOCKS, Autoencoder, require_channels, require_sizes
from aeedge.models.exact import ACTIVATION_LIMIT, ExactConv2d, activate, straight_through
from aeedge.models.orthonormal import analysis_matrices, require_coefficients
from aeedge.models.padded import PaddedConv2d, Padding
from aeedge.models.prior_passes import FirstPass, GroupPass, SecondPass
from aeedge_runtime.errors import ArgumentError

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

FEATURES = 64
"""Channels in which either branch of the prior hands its view of the hyper-symbols to the passes."""

FIRST_INDEX, INDEX_GAIN, MEAN_GAIN = 16.0, 0.25, 0.1
"""Table index that an untrained prior starts near, and what the last layers of its branches are scaled by."""

PIXEL_GAIN = 4.0
"""The transform works on 4 (x - 1/2), so that its typical coefficient is near one."""


@dataclass(frozen=True)
class HyperpriorConfig(Configuration):
    """Sizes of the flagship network.

    Attributes:
        family: "hyperprior".
        channels: image channels, 3.
        width: channels at 1/8 resolution, at most 192.
        latent_channels: channels of the latent, at 1/16 resolution, at most 4 * width.
        hidden: hidden width of a residual block in the encoder.
        decoder_hidden: hidden width of a residual block in the decoder at 1/8 resolution.
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
        require_channels(self.channels, 3)
        require_coefficients(self.width, self.latent_channels, "latent_channels")
        require_sizes(self, "hidden", "decoder_hidden", "hyper_channels", "group_hidden")
        require_sizes(self, "encoder_blocks", "decoder_blocks", least=0, most=MOST_BLOCKS)
        require_sizes(self, "levels", least=2)
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

    def later_groups(self) -> list[tuple[int, int]]:
        """Return, for each group but the first, the channels before it and its own."""
        return [(sum(self.groups[:number]), group) for number, group in enumerate(self.groups) if number]


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


def _blocks(count: int, width: int, hidden: int, padding: Padding) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(width, hidden, padding) for _ in range(count)])


class Encoder(nn.Module):
    """Image `[N, 3, H, W]` in 0..1 to latent `[N, c, H/16, W/16]`."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        width, latent = config.width, config.latent_channels
        fine, coarse = config.encoder_blocks
        self.stem = PaddedConv2d(config.channels, width, 12, stride=8, padding=2, padding_mode=config.padding)
        self.fine = _blocks(fine, width, config.hidden, config.padding)
        self.down = PaddedConv2d(width, latent, 3, stride=2, padding=1, padding_mode=config.padding)
        self.coarse = _blocks(coarse, latent, config.hidden, config.padding)
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
        self.coarse = _blocks(coarse, latent, config.decoder_hidden, config.padding)
        self.up = nn.Conv2d(latent, 4 * width, 1)
        self.fine = _blocks(fine, width, config.decoder_hidden, config.padding)
        self.head = PaddedConv2d(width, 64 * config.channels, 3, padding=1, padding_mode=config.padding)
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
        own, later = config.groups[0], config.later_groups()
        self.first = ExactConv2d(config.hyper_channels, 128, 3)
        self.second = ExactConv2d(32, 4 * FEATURES, 3)
        self.context_mix = ExactConv2d(own, 48, 1)
        self.context = ExactConv2d(48, 64, 3)
        self.trunk = ExactConv2d(FEATURES + 64 + 1, 96, 1)
        self.index = ExactConv2d(96, own, 1, gain=INDEX_GAIN)
        self.groups = nn.ModuleList([ScaleGroup(seen, group, config.group_hidden[0]) for seen, group in later])
        nn.init.constant_(self.index.bias, FIRST_INDEX / 4)

    def features(self, hyper_symbols: Tensor, size: tuple[int, int]) -> Tensor:
        """Return what the hyper-symbols tell of every position, `[N, FEATURES, h, w]`."""
        value = hyper_symbols.clamp(-HYPER_LIMIT, HYPER_LIMIT) / 4
        value = functional.pixel_shuffle(activate(self.first(value)), 2)
        return functional.pixel_shuffle(activate(self.second(value)), 2)[:, :, : size[0], : size[1]]

    def forward(self, features: Tensor, symbols: Tensor, known: Tensor) -> Tensor:
        """Return the index of the first group, float32 `[N, groups[0], h, w]`; see `Prior.first_group`."""
        magnitude = symbols.abs().clamp(0, self.context_limit)
        context = activate(self.context(activate(self.context_mix(magnitude))))
        value = activate(self.trunk(torch.cat([features, context, known], dim=1)))
        return table_index(self.index(value))

    def largest_sum(self) -> int:
        """Return the largest possible partial sum of any layer, in units of 1/1024 (the bound is 2^24)."""
        inputs = {"first": HYPER_LIMIT / 4, "context_mix": float(CONTEXT_LIMIT)}
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, ExactConv2d)}
        return max(layer.largest_sum(inputs.get(name, ACTIVATION_LIMIT)) for name, layer in layers.items())


class ScaleGroup(nn.Module):
    """Features and the symbols of the groups before to the table index of one more group, in exact integers."""

    context_limit = CONTEXT_LIMIT
    largest_index = SCALES - 1

    def __init__(self, seen: int, group: int, hidden: int) -> None:
        super().__init__()
        self.mix = ExactConv2d(FEATURES + seen, hidden, 1)
        self.trunk = ExactConv2d(hidden, hidden, 1)
        self.index = ExactConv2d(hidden, group, 1, gain=INDEX_GAIN)
        nn.init.constant_(self.index.bias, FIRST_INDEX / 4)

    def forward(self, features: Tensor, symbols: Tensor) -> Tensor:
        """Return the index, float32 `[N, group, h, w]`; see `Prior.later_group`."""
        magnitude = symbols.abs().clamp(0, self.context_limit)
        value = activate(self.mix(torch.cat([features, magnitude], dim=1)))
        return table_index(self.index(activate(self.trunk(value))))


def table_index(quarter: Tensor) -> Tensor:
    """Four times the last exact layer, floored and clipped to 0..63, with a straight-through gradient."""
    index = 4 * quarter
    return straight_through(index.floor(), index).clamp(0, SCALES - 1)


class MeanBranch(nn.Module):
    """Hyper-symbols and decoded latent to the expected latent, in quantiser steps; ordinary floating point."""

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        own, later = config.groups[0], config.later_groups()
        self.first = nn.Conv2d(config.hyper_channels, 192, 3, padding=1)
        self.second = nn.Conv2d(48, 4 * FEATURES, 3, padding=1)
        self.context_mix = nn.Conv2d(own, 48, 1)
        self.context = nn.Conv2d(48, 96, 3, padding=1)
        self.trunk = nn.Conv2d(FEATURES + 96 + 1, 128, 1)
        self.mean = nn.Conv2d(128, own, 1)
        self.groups = nn.ModuleList([MeanGroup(seen, group, config.group_hidden[1]) for seen, group in later])
        with torch.no_grad():
            self.mean.weight.mul_(MEAN_GAIN)

    def features(self, hyper_symbols: Tensor, size: tuple[int, int]) -> Tensor:
        """Return what the hyper-symbols tell of every position, `[N, FEATURES, h, w]`."""
        value = functional.pixel_shuffle(functional.relu(self.first(hyper_symbols / 4)), 2)
        return functional.pixel_shuffle(functional.relu(self.second(value)), 2)[:, :, : size[0], : size[1]]

    def forward(self, features: Tensor, latent: Tensor, known: Tensor) -> Tensor:
        """Return the mean of the first group, `[N, groups[0], h, w]`; see `Prior.first_group`."""
        context = functional.relu(self.context(self.context_mix(latent)))
        value = functional.relu(self.trunk(torch.cat([features, context, known], dim=1)))
        mean: Tensor = self.mean(value)
        return mean


class MeanGroup(nn.Module):
    """Features and the decoded latent of the groups before to the expected latent of one more group."""

    def __init__(self, seen: int, group: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(FEATURES + seen, hidden, 1)
        self.trunk = nn.Conv2d(hidden, hidden, 1)
        self.mean = nn.Conv2d(hidden, group, 1)
        with torch.no_grad():
            self.mean.weight.mul_(MEAN_GAIN)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Return the mean, `[N, group, h, w]`; see `Prior.later_group`."""
        value = functional.relu(self.mix(torch.cat([features, latent], dim=1)))
        mean: Tensor = self.mean(functional.relu(self.trunk(value)))
        return mean


class Prior(nn.Module):
    """What is expected of the symbols, given the hyper-symbols and the symbols already decoded.

    The channels come in groups: the first in two checkerboard passes, each later one in one pass that sees every
    channel before it at the same position. Index is a table index 0..63 (float32, integral), mean is in quantiser
    steps, both `[N, group, h, w]`.
    """

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        self.scale = ScaleBranch(config)
        self.mean = MeanBranch(config)

    def features(self, hyper_symbols: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What all passes share: hyper-symbols `[N, cz, ceil(h/4), ceil(w/4)]` to `[N, FEATURES, h, w]` twice."""
        with _exactly(hyper_symbols):
            scale = self.scale.features(hyper_symbols, size)
        return scale, self.mean.features(hyper_symbols, size)

    def first_group(
        self, features: tuple[Tensor, Tensor], symbols: Tensor, latent: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict table index and mean of the first group.

        Args:
            features: see `features`.
            symbols: of the group decoded so far, zero elsewhere, float32 `[N, groups[0], h, w]`.
            latent: symbol plus mean where decoded, zero elsewhere, in quantiser steps, of the same shape.
            known: 1 where decoded, else 0, float32 `[N, 1, h, w]`.
        """
        with _exactly(symbols):
            index = self.scale(features[0], symbols, known)
        return index, self.mean(features[1], latent, known)

    def later_group(
        self, number: int, features: tuple[Tensor, Tensor], symbols: Tensor, latent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict table index and mean of group `number` from 1 on, given those of all groups before.

        Args:
            number: of the group.
            features: see `features`.
            symbols: of the groups before, float32 `[N, seen, h, w]`.
            latent: symbol plus mean, in quantiser steps, of the same shape.
        """
        with _exactly(symbols):
            index = self.scale.groups[number - 1](features[0], symbols)
        return index, self.mean.groups[number - 1](features[1], latent)


def _exactly(value: Tensor) -> torch.autocast:
    """Compute in float32, which the exact branch needs whatever the precision around it."""
    return torch.autocast(value.device.type, enabled=False)


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

    @property
    def groups(self) -> tuple[int, ...]:
        """Latent channels of each group of the prior."""
        return self.config.groups

    def prior_passes(self) -> tuple[nn.Module, ...]:
        """Return the prior as a codec runs it, with copies of its weights: two passes, then one a later group."""
        later = [GroupPass(self.prior, number) for number in range(1, len(self.config.groups))]
        return FirstPass(self.prior), SecondPass(self.prior), *later

    def steps(self, position: Tensor) -> Tensor:
        """Quantiser steps `[N, c]` at positions `[N]` between the smallest lambda (0.0) and the largest (1.0)."""
        place = position.clamp(0, 1) * (self.config.levels - 1)
        below = place.floor().long().clamp(max=self.config.levels - 2)
        share = (place - below)[:, None]
        return torch.exp(self.log_steps[below] * (1 - share) + self.log_steps[below + 1] * share)

    def steps_for_quality(self, qualities: int = 100) -> Tensor:
        """Quantiser steps `[qualities, c]`, coarsest first; evenly in the logarithm of lambda, up to `beyond`."""
        ratio = self.config.largest_lambda / self.config.smallest_lambda
        position = torch.linspace(0, 1 + math.log(self.config.beyond) / math.log(ratio), qualities)
        beyond = (self.lambda_at(position) / self.config.largest_lambda).clamp(min=1)
        return (self.steps(position) / beyond.sqrt()[:, None]).detach()

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
