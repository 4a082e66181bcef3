"""Image codecs of CompressAI: analysis and synthesis; their entropy models give way to those of a bundle."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from aeedge_export.errors import ExportError


def options(network: nn.Module) -> Mapping[str, Any]:
    """Return the options of `adapt`: pixels are 0..1, the halves are `g_a` and `g_s`.

    Raises:
        ExportError: the network has no such halves.
    """
    if not (hasattr(network, "g_a") and hasattr(network, "g_s")):
        raise ExportError(f"{type(network).__name__} has no g_a and g_s; expected an image codec of CompressAI")
    return {"pixels": "unit", "encode": "g_a", "decode": "g_s"}
