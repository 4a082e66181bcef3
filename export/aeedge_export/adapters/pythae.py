"""Autoencoders of pythae, `AE` and `VAE`, which take images of one size."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def options(network: nn.Module) -> Mapping[str, Any]:
    """Return the options of `adapt`: pixels are 0..1, the latent is the embedding, the size that of the config."""
    found: dict[str, Any] = {"pixels": "unit", "encode": "encoder", "decode": "decoder"}
    size = tuple(getattr(getattr(network, "model_config", None), "input_dim", None) or ())[1:]
    return found | ({"size": size} if len(size) == 2 else {})
