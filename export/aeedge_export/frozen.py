"""Copies of a model for export: float32 in evaluation mode, and the same in float64."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aeedge.models import Autoencoder
from aeedge.models.exact import ExactConv2d

Copied = TypeVar("Copied")


def detached_copy(model: Copied, modules: Iterable[nn.Module]) -> Copied:
    """Return a deep copy; tensors that modules keep of an earlier call lose their gradients, without which they copy.

    Args:
        model: a module, or a tuple of modules.
        modules: all modules in it.
    """
    kept = [tensor for module in modules for tensor in _tensors(list(vars(module).values()))]
    memo = {id(tensor): tensor.detach().clone() for tensor in kept if not tensor.is_leaf}
    return copy.deepcopy(model, memo)


def _tensors(value: Any) -> Iterable[Tensor]:
    """Yield the tensors in a value and in the lists, tuples and dicts that it holds."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def frozen_copy(model: Autoencoder) -> Autoencoder:
    """Return a float32 copy on the CPU in evaluation mode, with plain convolutions for its fixed-point layers.

    A fixed-point layer rounds its weights in every forward pass; the copy holds the rounded ones.
    """
    copied = detached_copy(model, model.modules()).cpu().float().eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ExactConv2d):
                setattr(parent, name, _fixed_convolution(child))
    return copied.requires_grad_(False)


@torch.no_grad()
def double_copy(model: Autoencoder) -> Autoencoder:
    """Return a float64 copy, or a float32 one of a network that names float32 in its code."""
    doubled = detached_copy(model, model.modules()).double()
    rows, columns = model.stride
    try:
        doubled.decode(doubled.encode(torch.zeros(1, model.channels, rows, columns, dtype=torch.float64)))
    except RuntimeError:
        return detached_copy(model, model.modules())
    return doubled


def _fixed_convolution(layer: ExactConv2d) -> nn.Conv2d:
    weight, bias = layer.quantized()
    outputs, inputs, kernel, _ = weight.shape
    fixed = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    fixed.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return fixed.eval()
