"""The architectures: one module for each, with its frozen config dataclass."""

from collections.abc import Mapping
from typing import Any, cast

from aeedge.configuration import build, nearest
from aeedge.models.base import Autoencoder, count_parameters, macs_per_pixel
from aeedge.models.conv import ConvAutoencoder, ConvConfig
from aeedge.models.custom import CustomConfig, OwnNetwork, build_custom
from aeedge.models.dense import DenseAutoencoder, DenseConfig
from aeedge.models.hyperprior import HyperpriorAutoencoder, HyperpriorConfig
from aeedge.models.vae import VaeAutoencoder, VaeConfig
from aeedge_runtime.errors import ArgumentError

__all__ = [
    "FAMILIES",
    "Autoencoder",
    "ConvAutoencoder",
    "ConvConfig",
    "CustomConfig",
    "DenseAutoencoder",
    "DenseConfig",
    "HyperpriorAutoencoder",
    "HyperpriorConfig",
    "OwnNetwork",
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

CONFIGS = {family: config for family, (config, _) in FAMILIES.items()} | {"custom": CustomConfig}
"""Value of `model.family` in a run -> config class."""


def model_config(values: Mapping[str, Any]) -> Any:
    """Return the config dataclass of plain values, chosen by their key "family".

    Raises:
        ArgumentError: an unknown family or key, a value of the wrong type or an impossible size.
    """
    family = str(values.get("family", ""))
    if family not in CONFIGS:
        raise ArgumentError(f'model.family: found "{family}"{nearest(family, FAMILIES)}')
    return build(CONFIGS[family], values, "model")


def build_model(config: Any, network: OwnNetwork | None = None) -> Autoencoder:
    """Return a freshly initialized model of a config dataclass or of its plain values.

    Initialization draws from torch's global generator.

    Args:
        config: of any family.
        network: the user's network, for the family "custom" and no other.

    Raises:
        ArgumentError: the config is not one of a known family, its layers do not fit into memory, or it is of a network
            that is not named.
    """
    if isinstance(config, Mapping):
        config = model_config(config)
    if isinstance(config, CustomConfig):
        return build_custom(config, network)
    if network is not None:
        raise ArgumentError(f"the run is of the family {config.family}, not of a network of your own; leave it out")
    try:
        model = FAMILIES[config.family][1](config)
    except RuntimeError as error:  # torch raises no MemoryError
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(f"model: a network of these sizes cannot be built ({reason}); use smaller ones") from error
    return cast(Autoencoder, model)
