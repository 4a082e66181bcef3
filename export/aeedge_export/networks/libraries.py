"""Networks of known libraries: an adapter knows their pixel range, halves and size, so that nobody needs to declare it.

An adapter is an entry point of the group `aeedge.adapters`, named after the library's package. It is a function from a
network to keyword arguments of `adapt`. Only the adapter of the library that defines the network's class is loaded.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from aeedge_export.errors import ExportError
from aeedge_export.networks.halves import Network

GROUP = "aeedge.adapters"

OPTIONS = frozenset({"pixels", "encode", "decode", "latent", "output", "size"})
"""Keyword arguments of `adapt` that an adapter may give."""


def library_options(network: Network) -> dict[str, Any]:
    """Return the keyword arguments of `adapt` that a network's library calls for; empty if no adapter knows it.

    Args:
        network: a copy, which the adapter may change.

    Raises:
        ExportError: the adapter refuses the network, or gives an option that does not exist.
    """
    if isinstance(network, tuple):
        return {}
    packages = {base.__module__.partition(".")[0] for base in type(network).__mro__}
    point = next((point for point in entry_points(group=GROUP) if point.name in packages), None)
    if point is None:
        return {}
    found: Mapping[str, Any] = point.load()(network)
    if unknown := sorted(found.keys() - OPTIONS):
        expected = ", ".join(sorted(OPTIONS))
        raise ExportError(f"the adapter {point.value} gives {', '.join(unknown)}; expected {expected}")
    return dict(found)
