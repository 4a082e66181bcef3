"""Encoder and decoder of a network: two modules, two attributes or two methods, found by their usual names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from aeedge_export.errors import ExportError

PAIRS = (("encode", "decode"), ("encoder", "decoder"), ("g_a", "g_s"), ("enc", "dec"), ("analysis", "synthesis"))
"""Names of the halves, most likely first."""

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
        return getattr(self.network, self.method)(value)


def find_halves(network: Network, encode: Name = None, decode: Name = None) -> Halves:
    """Return the halves of a network.

    Args:
        network: one module with both halves, or an encoder and a decoder.
        encode: name of an attribute or method, or a function of module and image; None to find it.
        decode: the same for the decoder.

    Raises:
        ExportError: there are no halves of these names.
    """
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
        raise ExportError(f"{type(network).__name__} has none of: {names}; name its halves with encode and decode")
    encoder, decoder = (_half(network, name) for name in pair if name is not None)
    return Halves(encoder, decoder, (_shown(pair[0]), _shown(pair[1])))


def _half(network: nn.Module, name: str | Callable[[nn.Module, Any], Any]) -> nn.Module:
    if callable(name):
        return MethodHalf(network, name)
    found = getattr(network, name, None)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ExportError(f"{type(network).__name__} has no half named {name}")
    return MethodHalf(network, name)


def _shown(name: str | Callable[[nn.Module, Any], Any]) -> str:
    return name if isinstance(name, str) else getattr(name, "__name__", "function")
