"""The prior as a codec runs it: a network for each pass, which predicts what is requested and nothing twice.

`Prior` predicts the first group at every position of a dense grid, which training needs. A codec asks for half of the
positions in either pass: first with no symbol known, then with those of the first pass. So the first network leaves the
context branch out (its answer to zeros is a constant but for the borders) and hands its view of the hyper-symbols on to
the second, and to the later groups, which have a pass each. Table indices equal `Prior`'s, bit for bit; means equal it
but for the order of summation.

Exact layers carry activations in sixteenths here, as integers 0..255: scaling by a power of two changes no digit, and
spares two operations a layer.
"""

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge.models.exact import ACTIVATION_UNITS

ACTIVATION_LARGEST = 255


class Convolution(Protocol):
    """An exact layer, or the plain convolution that replaced it."""

    weight: Tensor
    bias: Tensor
    padding: int


class FirstPass(nn.Module):
    """Hyper-symbols to what is expected where no symbol of the latent is known yet.

    Args:
        prior: a `Prior` in evaluation mode.
    """

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        scale, mean = cast(nn.Module, prior.scale), cast(nn.Module, prior.mean)
        self.scale_first = _exact(scale.first, gain=ACTIVATION_UNITS / 4)
        self.scale_second = _exact(scale.second)
        self.scale_context = _exact(scale.context)
        _fold_input(self.scale_context, activate_units(_bias(_exact(scale.context_mix))))
        self.mean_first, self.mean_second = _plain(mean.first, gain=0.25), _plain(mean.second)
        self.mean_context = _plain(mean.context)
        _fold_input(self.mean_context, _bias(_plain(mean.context_mix)))
        self.predictor = Predictor(prior)

    def forward(self, hyper_symbols: Tensor, inside: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predict.

        Args:
            hyper_symbols: integers in float32 `[N, cz, ceil(h/4), ceil(w/4)]`, in -127 .. 127.
            inside: ones, float32 `[N, 1, h, w]`: tells the size, and the context branch where the borders are.
            squares: int64 `[P]`, row * w + column of each position to predict.

        Returns:
            Table index 0..63, uint8 `[N, c, 1, P]`; mean in quantizer steps, float32 `[N, c, 1, P]`; and the two
            features that the second pass takes, float32 `[N, 64, h, w]` each.
        """
        height, width = inside.shape[2], inside.shape[3]
        value = functional.pixel_shuffle(activate_units(self.scale_first(hyper_symbols)), 2)
        value = functional.pixel_shuffle(activate_units(self.scale_second(value)), 2)
        scale_features = value[:, :, :height, :width]
        value = functional.pixel_shuffle(functional.relu(self.mean_first(hyper_symbols)), 2)
        value = functional.pixel_shuffle(functional.relu(self.mean_second(value)), 2)
        mean_features = value[:, :, :height, :width]
        scale = torch.cat([scale_features, activate_units(self.scale_context(inside))], dim=1)
        mean = torch.cat([mean_features, functional.relu(self.mean_context(inside))], dim=1)
        return *self.predictor(scale, mean, squares), scale_features, mean_features


class SecondPass(nn.Module):
    """The first pass's features and symbols to what is expected at the positions left.

    Args:
        prior: a `Prior` in evaluation mode.
    """

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        scale, mean = cast(nn.Module, prior.scale), cast(nn.Module, prior.mean)
        self.context_limit = int(cast(int, scale.context_limit))
        self.scale_mix, self.scale_context = _exact(scale.context_mix, gain=ACTIVATION_UNITS), _exact(scale.context)
        self.mean_mix, self.mean_context = _plain(mean.context_mix), _plain(mean.context)
        self.predictor = Predictor(prior)

    def forward(
        self,
        scale_features: Tensor,
        mean_features: Tensor,
        known_symbols: Tensor,
        known_latent: Tensor,
        place: Tensor,
        squares: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            scale_features: as the first pass gave them.
            mean_features: as the first pass gave them.
            known_symbols: symbols of the first pass, float32 `[N, c, 1, K]`.
            known_latent: symbol + mean, float32 `[N, c, 1, K]`.
            place: int64 `[h, w]`: the number of a position among the K, and K for those that are not known.
            squares: int64 `[P]`, row * w + column of each position to predict.

        Returns:
            Table index and mean, as the first pass's.
        """
        magnitude = functional.pad(known_symbols, (0, 1)).abs().clamp(0, self.context_limit)
        context = activate_units(self.scale_context(_spread(activate_units(self.scale_mix(magnitude)), place)))
        scale = torch.cat([scale_features, context], dim=1)
        mixed = self.mean_mix(functional.pad(known_latent, (0, 1)))
        mean = torch.cat([mean_features, functional.relu(self.mean_context(_spread(mixed, place)))], dim=1)
        found: tuple[Tensor, Tensor] = self.predictor(scale, mean, squares)
        return found


class GroupPass(nn.Module):
    """The first pass's features and all groups before to what is expected of one more group of channels.

    Args:
        prior: a `Prior` in evaluation mode.
        number: of the group, from 1.
    """

    def __init__(self, prior: nn.Module, number: int) -> None:
        super().__init__()
        scale, mean = (cast(Any, branch).groups[number - 1] for branch in (prior.scale, prior.mean))
        self.context_limit, self.largest_index = int(scale.context_limit), int(scale.largest_index)
        self.scale_mix, self.scale_trunk = _exact(scale.mix), _exact(scale.trunk)
        features = int(cast(Any, prior.scale).second.weight.shape[0]) // 4
        self.scale_mix.weight.data[:, features:] *= ACTIVATION_UNITS  # symbols are whole, features in sixteenths
        self.index = _exact(scale.index, units=4, gain=1 / 4)
        self.mean_mix, self.mean_trunk, self.mean = _plain(mean.mix), _plain(mean.trunk), _plain(mean.mean)

    def forward(
        self, scale_features: Tensor, mean_features: Tensor, known_symbols: Tensor, known_latent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            scale_features: as the first pass gave them.
            mean_features: as the first pass gave them.
            known_symbols: symbols of all groups before, float32 `[N, seen, h, w]`.
            known_latent: symbol + mean, float32 of the same shape.

        Returns:
            Table index 0..63, uint8 `[N, group, h, w]`, and mean in quantizer steps, float32 of the same shape.
        """
        magnitude = known_symbols.abs().clamp(0, self.context_limit)
        value = activate_units(self.scale_mix(torch.cat([scale_features, magnitude], dim=1)))
        index = self.index(activate_units(self.scale_trunk(value))).floor().clamp(0, self.largest_index)
        value = functional.relu(self.mean_mix(torch.cat([mean_features, known_latent], dim=1)))
        return index.to(torch.uint8), self.mean(functional.relu(self.mean_trunk(value)))


class Predictor(nn.Module):
    """The last, pointwise layers of either pass, at the positions to predict."""

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        scale, mean = cast(nn.Module, prior.scale), cast(nn.Module, prior.mean)
        self.largest_index = int(cast(int, scale.largest_index))
        self.scale_trunk, self.mean_trunk = _exact(scale.trunk), _plain(mean.trunk)
        for layer in (self.scale_trunk, self.mean_trunk):  # the last input marks what is known, not what is requested
            layer.weight.data = layer.weight.data[:, :-1].contiguous()
        self.index, self.mean = _exact(scale.index, units=4, gain=1 / 4), _plain(mean.mean)

    def forward(self, scale: Tensor, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Return table index uint8 and mean float32, `[N, c, 1, P]`, of features and context `[N, .., h, w]`."""
        value = activate_units(self.scale_trunk(_at(scale, squares)))
        index = self.index(value).floor().clamp(0, self.largest_index).to(torch.uint8)
        return index, self.mean(functional.relu(self.mean_trunk(_at(mean, squares))))


def activate_units(value: Tensor) -> Tensor:
    """`aeedge.models.exact.activate` of sixteenths: floor, and clip to 0..255."""
    return value.floor().clamp(0, ACTIVATION_LARGEST)


def _exact(layer: object, *, units: int = ACTIVATION_UNITS, gain: float = 1.0) -> nn.Conv2d:
    """Return a plain convolution with an exact layer's fixed weights times `gain` and outputs in 1 / `units`."""
    fixed = cast(Convolution, layer)
    quantized = getattr(layer, "quantized", None)
    weight, bias = quantized() if quantized else (fixed.weight, fixed.bias)
    return _convolution(weight * gain, bias * units, fixed.padding)


def _plain(layer: object, *, gain: float = 1.0) -> nn.Conv2d:
    """Return a copy of a convolution, its weights times `gain`."""
    found = cast(Convolution, layer)
    return _convolution(found.weight * gain, found.bias, found.padding)


def _convolution(weight: Tensor, bias: Tensor, padding: int) -> nn.Conv2d:
    outputs, inputs, size, _ = weight.shape
    copy = nn.Conv2d(inputs, outputs, size, padding=padding, dtype=weight.dtype, device=weight.device)
    copy.weight.data, copy.bias.data = weight.detach().clone(), bias.detach().clone()  # type: ignore[union-attr]
    return copy.requires_grad_(False)


def _bias(layer: nn.Conv2d) -> Tensor:
    return cast(Tensor, layer.bias).detach()


def _fold_input(layer: nn.Conv2d, constant: Tensor) -> None:
    """Let a convolution take ones in place of a map that holds the same `constant`, `[C]`, at every position."""
    layer.weight.data = (layer.weight.data * constant[None, :, None, None]).sum(1, keepdim=True)


def _at(value: Tensor, squares: Tensor) -> Tensor:
    """`[N, C, h, w]` at some positions, `[N, C, 1, P]`."""
    return _take(value.flatten(2), squares)[:, :, None]


def _spread(known: Tensor, place: Tensor) -> Tensor:
    """`[N, C, 1, K + 1]` over the grid, `[N, C, h, w]`."""
    return _take(known[:, :, 0], place.flatten()).reshape(*known.shape[:2], *place.shape)


def _take(value: Tensor, places: Tensor) -> Tensor:
    """`[N, C, Q]` at places of its last axis. They come first on the way: ONNX Runtime copies rows ten times faster."""
    return value.permute(2, 0, 1).index_select(0, places).permute(1, 2, 0)
