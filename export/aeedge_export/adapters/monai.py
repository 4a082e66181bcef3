"""Autoencoders of MONAI for images of two dimensions: `AutoencoderKL`, `AutoEncoder` and `VarAutoEncoder`."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from aeedge_export.errors import ExportError


def options(network: Any) -> Mapping[str, Any]:
    """Return the options of `adapt`: pixels are 0..1, and the latent is the mean.

    Raises:
        ExportError: the network is for volumes.
    """
    if any(isinstance(part, nn.Conv3d | nn.Conv1d) for part in network.modules()):
        raise ExportError(f"{type(network).__name__} is not for images; build it with spatial_dims=2")
    if hasattr(network, "use_checkpoint"):
        network.use_checkpoint = False  # recomputes for training what a graph keeps
    return {"pixels": "unit", "encode": "encode", "decode": "decode"}
