"""Encoder and decoder of a network: two modules, two attributes or two methods, found by their usual names."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from aeedge_export.errors import ExportError

PAIRS = (("encode", "decode"), ("encoder", "decoder"), ("g_a", "g_s"), ("enc", "dec"), ("analysis", "synthesis"))
"""Names of the halves, most likely first."""

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
"""Wrappers of a network for training on several devices."""

Network = nn.Module | tuple[nn.Module, nn.Module]
Name = str | Callable[[nn.Module, Any], Any] | None


@dataclass(frozen=True)
class Halves:
    """The two halves as modules, and their names."""

    encoder: nn.Module
    decoder: nn.Module
    names: tuple[str, str]


class MethodHalf(nn.Module):
    """A method of a network, or a function of it, as a module; both halves share the network."""

    def __init__(self, network: nn.Module, method: str | Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, value: Any) -> Any:
        """Call the method."""
        if callable(self.method):
            return self.method(self.network, value)
        return operator.attrgetter(self.method)(self.network)(value)


def find_halves(network: Network, encode: Name = None, decode: Name = None) -> Halves:
    """Return the halves of a network.

    Args:
        network: one module with both halves, or an encoder and a decoder.
        encode: name of an attribute or method, with dots for parts of parts, or a function of module and image; None to
            find it.
        decode: the same for the decoder.

    Raises:
        ExportError: there are no halves of these names.
    """
    if isinstance(network, PARALLEL):
        network = network.module
    halves = network if isinstance(network, tuple) else (network,)
    if any(isinstance(half, torch.jit.ScriptModule) for half in halves):
        raise ExportError("the network is a TorchScript program; give the Python module that it was made from")
    if isinstance(network, tuple):
        encoder, decoder = network
        return Halves(encoder, decoder, (type(encoder).__name__, type(decoder).__name__))
    if (encode is None) != (decode is None):
        raise ExportError("encode and decode go together: name both or neither")
    pair = (encode, decode)
    if encode is None:
        pair = next((pair for pair in PAIRS if all(hasattr(network, name) for name in pair)), (None, None))
    if pair[0] is None or pair[1] is None:
        names = ", ".join(" and ".join(pair) for pair in PAIRS)
        raise ExportError(
            f"{type(network).__name__} has none of: {names}; name its halves with encode and decode, as in net.encoder"
        )
    encoder, decoder = (_half(network, name) for name in pair if name is not None)
    return Halves(encoder, decoder, (_shown(pair[0]), _shown(pair[1])))


def _half(network: nn.Module, name: str | Callable[[nn.Module, Any], Any]) -> nn.Module:
    if callable(name):
        return MethodHalf(network, name)
    try:
        found: Any = operator.attrgetter(name)(network)
    except AttributeError:
        found = None
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ExportError(f"{type(network).__name__} has no half named {name}")
    return MethodHalf(network, name)


def _shown(name: str | Callable[[nn.Module, Any], Any]) -> str:
    return name if isinstance(name, str) else getattr(name, "__name__", "function")
