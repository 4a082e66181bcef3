"""Autoencoders of diffusers: `AutoencoderTiny`, `AutoencoderKL` and their relatives."""

from collections.abc import Mapping
from typing import Any

from torch import nn

SWITCHES = ("disable_tiling", "disable_slicing")
"""Methods that make the result independent of the size of an image and of the batch."""


def options(network: nn.Module) -> Mapping[str, Any]:
    """Return the options of `adapt`: pixels are -1..1, and the latent is the mode of the distribution."""
    for switch in SWITCHES:
        getattr(network, switch, lambda: None)()
    return {"pixels": "signed", "encode": "encode", "decode": "decode"}
