"""The prior that selects frequency tables exactly: hyper-encoder, side information, and one network for each pass.

It knows nothing of the network whose latent it describes, so it serves any frozen encoder as well. Context is the
checkerboard of arXiv 2103.15306 in the first group of channels and the channels before in each later group (arXiv
2007.08739); the branch that selects the tables computes in exact integers (`aeedge.models.exact`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.models.exact import ACTIVATION_LIMIT, ExactConv2d, activate, straight_through
from aeedge.models.prior_passes import FirstPass, GroupPass, SecondPass
from aeedge_runtime.bundle.tables import SCALES

SMALLEST_SCALE, LARGEST_SCALE = 0.11, 128.0
"""Standard deviation, in quantizer steps, that the first and the last of the table indices stand for."""

HYPER_STRIDE = 4
"""Latent positions per position of the hyper-latent."""

HYPER_LIMIT = 127
"""Hyper-symbols are clipped to -127 .. 127."""

CONTEXT_LIMIT = 15
"""Magnitude at which decoded symbols are clipped before the exact network sees them."""

SOFT_LIMIT = 8.0
"""Magnitude, in quantizer steps, that the hyper-encoder's input approaches but never reaches."""

FEATURES = 64
"""Channels in which either branch of the prior hands its view of the hyper-symbols to the passes."""

FIRST_INDEX, INDEX_GAIN, MEAN_GAIN = 16.0, 0.25, 0.1
"""Table index that an untrained prior starts near, and what the last layers of its branches are scaled by."""


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of an exact prior.

    Attributes:
        latent_channels: channels of the latent.
        hidden: hidden width of the hyper-encoder.
        hyper_channels: channels of the hyper-latent.
        groups: latent channels of each group; together all of them.
        group_hidden: hidden width of the later groups, of scale and of mean.
    """

    latent_channels: int
    hidden: int
    hyper_channels: int
    groups: tuple[int, ...]
    group_hidden: tuple[int, int]

    def later_groups(self) -> list[tuple[int, int]]:
        """Return, for each group but the first, the channels before it and its own."""
        return [(sum(self.groups[:number]), group) for number, group in enumerate(self.groups) if number]


class HyperEncoder(nn.Module):
    """Latent in quantizer steps `[N, c, h, w]` to hyper-latent `[N, cz, ceil(h/4), ceil(w/4)]`."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.mix = nn.Conv2d(config.latent_channels, hidden, 1)
        self.down = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1)
        self.code = nn.Conv2d(hidden, config.hyper_channels, 3, stride=2, padding=1)
        with torch.no_grad():
            self.code.weight.mul_(4)

    def forward(self, latent_steps: Tensor) -> Tensor:
        """Summarize the latent, whose range over the qualities a soft sign tames."""
        tamed = latent_steps / (1 + latent_steps.abs() / SOFT_LIMIT)
        value = functional.relu(self.mix(tamed))
        code: Tensor = self.code(functional.relu(self.down(value)))
        return code


class ScaleBranch(nn.Module):
    """Hyper-symbols and decoded symbols to a table index 0..63 per latent element, in exact integers."""

    context_limit = CONTEXT_LIMIT
    largest_index = SCALES - 1

    def __init__(self, config: PriorConfig) -> None:
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
    """Return four times the last exact layer, floored and clipped to 0..63, with a straight-through gradient."""
    index = 4 * quarter
    return straight_through(index.floor(), index).clamp(0, SCALES - 1)


class MeanBranch(nn.Module):
    """Hyper-symbols and decoded latent to the expected latent, in quantizer steps; ordinary floating point."""

    def __init__(self, config: PriorConfig) -> None:
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
    """Predictions of the symbols, given the hyper-symbols and the symbols already decoded.

    The channels come in groups: the first in two checkerboard passes, each later one in one pass that sees every
    channel before it at the same position. Index is a table index 0..63 (float32, integral), mean is in quantizer
    steps, both `[N, group, h, w]`.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.groups = config.groups
        self.scale = ScaleBranch(config)
        self.mean = MeanBranch(config)

    def features(self, hyper_symbols: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Map hyper-symbols `[N, cz, ceil(h/4), ceil(w/4)]` to the two `[N, FEATURES, h, w]` that all passes share."""
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
            latent: symbol plus mean where decoded, zero elsewhere, in quantizer steps, of the same shape.
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
            latent: symbol plus mean, in quantizer steps, of the same shape.
        """
        with _exactly(symbols):
            index = self.scale.groups[number - 1](features[0], symbols)
        return index, self.mean.groups[number - 1](features[1], latent)


def _exactly(value: Tensor) -> torch.autocast:
    """Compute in float32, which the exact branch needs whatever the precision around it."""
    return torch.autocast(value.device.type, enabled=False)


class ExactPrior(nn.Module):
    """Hyper-encoder and prior of one latent.

    Args:
        config: their sizes.
        hyper_encoder: one that exists already; None for a new one.
        prior: likewise.
    """

    passes = 2

    def __init__(
        self, config: PriorConfig, hyper_encoder: HyperEncoder | None = None, prior: Prior | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.hyper_encoder = hyper_encoder or HyperEncoder(config)
        self.prior = prior or Prior(config)

    @property
    def groups(self) -> tuple[int, ...]:
        """Latent channels of each group."""
        return self.config.groups

    def prior_passes(self) -> tuple[nn.Module, ...]:
        """Return the prior as a codec runs it, with copies of its weights: two passes, then one a later group."""
        later = [GroupPass(self.prior, number) for number in range(1, len(self.groups))]
        return FirstPass(self.prior), SecondPass(self.prior), *later


def table_scale(index: Tensor) -> Tensor:
    """Return the standard deviation, in steps, that a table index stands for: log-spaced from 0.11 to 128."""
    ratio = math.log(LARGEST_SCALE / SMALLEST_SCALE)
    return SMALLEST_SCALE * torch.exp(index * (ratio / (SCALES - 1)))


def checkerboard(latent: Tensor) -> Tensor:
    """Return 1 where (row + column) is even, else 0, float32 `[N, 1, h, w]`: the positions of the first pass."""
    count, _, height, width = latent.shape
    rows = torch.arange(height, device=latent.device)[:, None]
    columns = torch.arange(width, device=latent.device)
    return ((rows + columns + 1) % 2).float().expand(count, 1, height, width)
