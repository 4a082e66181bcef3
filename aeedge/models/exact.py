"""Convolutions that give the same bits on every machine.

A hyperprior decodes only if both sides choose the same frequency table for every symbol, and floating-point
convolutions differ in their last bits between machines. These layers carry small integers in float32: weights are
multiples of 1/64, activations multiples of 1/16, so every partial sum is an integer multiple of 1/1024. As long as
all of them stay below 2^24 such units, float32 represents each exactly and the order of summation cannot matter.

In training the roundings pass the gradient straight through ("Estimating or Propagating Gradients Through Stochastic
Neurons", arXiv 1308.3432); the forward pass is the exact one from the first step on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

WEIGHT_UNITS = 64
"""Weights are multiples of 1/64, in [-127/64, 127/64]."""

ACTIVATION_UNITS = 16
"""Activations are multiples of 1/16."""

ACTIVATION_LIMIT = 255 / ACTIVATION_UNITS
"""Activations are clipped to 0 .. 255/16, eight bits."""

EXACT_UNITS = 2**24
"""Consecutive integers that float32 represents: the bound of every partial sum."""


def straight_through(rounded: Tensor, value: Tensor) -> Tensor:
    """Return `rounded` in the forward pass, the gradient of `value` in the backward pass."""
    return value + (rounded - value).detach()


def round_through(value: Tensor) -> Tensor:
    """Round half to even, with a straight-through gradient."""
    return straight_through(value.round(), value)


def activate(value: Tensor) -> Tensor:
    """Floor to a multiple of 1/16 and clip to 0 .. 255/16: the activation function between exact layers."""
    floored = straight_through((value * ACTIVATION_UNITS).floor() / ACTIVATION_UNITS, value)
    return floored.clamp(0.0, ACTIVATION_LIMIT)


class ExactConv2d(nn.Module):
    """A stride-1, same-size convolution with fixed-point weights.

    Input and output are float32 `[N, C, H, W]`; the input holds multiples of 1/16, the output multiples of 1/1024.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.padding = kernel // 2
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        with torch.no_grad():
            self.weight.mul_(gain)

    def quantized(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias as they are used: multiples of 1/64 and of 1/1024."""
        weight = round_through(self.weight * WEIGHT_UNITS).clamp(-127, 127) / WEIGHT_UNITS
        units = WEIGHT_UNITS * ACTIVATION_UNITS
        return weight, round_through(self.bias * units) / units

    def forward(self, value: Tensor) -> Tensor:
        """Convolve `[N, inputs, H, W]` to `[N, outputs, H, W]`."""
        weight, bias = self.quantized()
        return functional.conv2d(value, weight, bias, padding=self.padding)

    def largest_sum(self, input_limit: float = ACTIVATION_LIMIT) -> int:
        """Return the largest possible magnitude of a partial sum in units of 1/1024, for inputs within the limit."""
        weight, bias = self.quantized()
        units = WEIGHT_UNITS * ACTIVATION_UNITS
        sums = weight.abs().sum(dim=(1, 2, 3)).double() * input_limit + bias.abs().double()
        return int((sums * units).ceil().max().item())
