"""Copies of a model for export: float32 in evaluation mode, and the same in float64."""

import copy

from torch import nn

from aeedge.models import Autoencoder
from aeedge.models.exact import ExactConv2d


def frozen_copy(model: Autoencoder) -> Autoencoder:
    """Return a float32 copy on the CPU in evaluation mode, with plain convolutions for its fixed-point layers.

    A fixed-point layer rounds its weights in every forward pass; the copy holds the rounded ones.
    """
    copied = copy.deepcopy(model).cpu().float().eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ExactConv2d):
                setattr(parent, name, _fixed_convolution(child))
    return copied.requires_grad_(False)


def double_copy(model: Autoencoder) -> Autoencoder:
    """Return a float64 copy."""
    return copy.deepcopy(model).double()


def _fixed_convolution(layer: ExactConv2d) -> nn.Conv2d:
    weight, bias = layer.quantized()
    outputs, inputs, kernel, _ = weight.shape
    fixed = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    fixed.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return fixed.eval()
