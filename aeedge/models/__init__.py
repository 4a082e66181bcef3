"""The architectures: one module for each, with its frozen config dataclass."""

from collections.abc import Mapping
from typing import Any, cast

from aeedge.configuration import build, nearest
from aeedge.models.base import Autoencoder, count_parameters, macs_per_pixel
from aeedge.models.conv import ConvAutoencoder, ConvConfig
from aeedge.models.dense import DenseAutoencoder, DenseConfig
from aeedge.models.hyperprior import HyperpriorAutoencoder, HyperpriorConfig
from aeedge.models.vae import VaeAutoencoder, VaeConfig
from aeedge_runtime.errors import ArgumentError

__all__ = [
    "FAMILIES",
    "Autoencoder",
    "ConvAutoencoder",
    "ConvConfig",
    "DenseAutoencoder",
    "DenseConfig",
    "HyperpriorAutoencoder",
    "HyperpriorConfig",
    "VaeAutoencoder",
    "VaeConfig",
    "build_model",
    "count_parameters",
    "macs_per_pixel",
    "model_config",
]

FAMILIES: dict[str, tuple[type[Any], type[Any]]] = {
    "conv": (ConvConfig, ConvAutoencoder),
    "dense": (DenseConfig, DenseAutoencoder),
    "hyperprior": (HyperpriorConfig, HyperpriorAutoencoder),
    "vae": (VaeConfig, VaeAutoencoder),
}
"""Family -> config class and model class."""


def model_config(values: Mapping[str, Any]) -> Any:
    """Return the config dataclass of plain values, chosen by their key "family".

    Raises:
        ArgumentError: an unknown family or key, a value of the wrong type or an impossible size.
    """
    family = str(values.get("family", ""))
    if family not in FAMILIES:
        raise ArgumentError(f'model.family: found "{family}"{nearest(family, FAMILIES)}')
    return build(FAMILIES[family][0], values, "model")


def build_model(config: Any) -> Autoencoder:
    """Return a freshly initialized model of a config dataclass or of its plain values.

    Initialization draws from torch's global generator.

    Raises:
        ArgumentError: the config is not one of a known family, or its layers do not fit into memory.
    """
    if isinstance(config, Mapping):
        config = model_config(config)
    try:
        model = FAMILIES[config.family][1](config)
    except RuntimeError as error:  # torch raises no MemoryError
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(f"model: a network of these sizes cannot be built ({reason}); use smaller ones") from error
    return cast(Autoencoder, model)
