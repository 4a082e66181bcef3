"""What an export needs to know of a model, whatever its family."""

import copy
import hashlib
from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aeedge_export.errors import ExportError
from aeedge_runtime.bundle.manifest import PriorFacts
from aeedge_runtime.bundle.stream_id import canonical_json

HALVES = ("encoder", "decoder")

EXACT_UNITS = 2**24
"""Integers below this are exact in float32; partial sums of an exact prior must stay below it."""


HYPER_STRIDE = 4
"""Latent positions per position of the hyper-latent."""


class ExportableModel(Protocol):
    """The part of `aeedge.models.base.Autoencoder` that is used here."""

    @property
    def channels(self) -> int:
        """Image channels."""

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns of pixels per latent position."""

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""

    @property
    def patched(self) -> bool:
        """Whether the graph takes exactly one patch."""

    def encode(self, image: Tensor) -> Tensor:
        """Image `[N, C, H, W]` float32 in 0..1 to latent `[N, c, h, w]`."""

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `[N, c, h, w]` to image `[N, C, H, W]`."""

    def named_modules(self) -> Any:
        """As in `torch.nn.Module`."""

    def state_dict(self) -> dict[str, Tensor]:
        """As in `torch.nn.Module`."""


def has_hyperprior(model: ExportableModel) -> bool:
    """Return whether the model predicts its tables from side information."""
    return hasattr(model, "hyper_encode")


def has_posterior(model: ExportableModel) -> bool:
    """Return whether the encoder gives a distribution (vae)."""
    return hasattr(model, "encode_distribution")


def hyper_encoder_of(model: ExportableModel) -> Callable[[Tensor], Tensor]:
    """Return the map of a latent in steps to the hyper-latent."""
    return cast(Callable[[Tensor], Tensor], cast(Any, model).hyper_encode)


def prior_of(model: ExportableModel) -> Any:
    """Return the prior as it was trained, an `aeedge.models.hyperprior.Prior`."""
    return cast(Any, model).prior


def prior_passes_of(model: ExportableModel) -> tuple[nn.Module, ...]:
    """Return the prior as the runtime runs it: a network for each pass over the latent."""
    return cast(tuple[nn.Module, ...], cast(Any, model).prior_passes())


def prior_facts(model: ExportableModel, channels: int) -> PriorFacts:
    """Return what a manifest says of a model's hyperprior, whose hyper-latent has so many channels."""
    network = cast(Any, model)
    return PriorFacts("hyperprior", channels, HYPER_STRIDE, network.passes, tuple(network.groups))


def check_weights(model: ExportableModel) -> None:
    """Refuse weights that are not finite: one of them loads and runs everywhere and ruins every image.

    Raises:
        ExportError: a tensor holds NaN or infinity; the message names it.
    """
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ExportError(f"the weight {name} holds NaN or infinity; train again, or export another checkpoint")


def with_half_weights(model: ExportableModel) -> ExportableModel:
    """Return a copy of the model whose weights float16 holds: 11 significant bits, stored in half the space.

    Raises:
        ExportError: a weight is beyond 65504.
    """
    copied = copy.deepcopy(cast(nn.Module, model))
    with torch.no_grad():
        for name, tensor in copied.state_dict().items():
            if tensor.dtype != torch.float32:
                continue
            tensor.copy_(tensor.half().float())
            if bool(torch.isinf(tensor).any()):
                raise ExportError(
                    f"the weight {name} is beyond 65504, the largest of float16; export without --half-weights"
                )
    return cast(ExportableModel, copied)


def check_exact(model: ExportableModel) -> None:
    """Refuse a prior whose table indices float32 could compute differently on another machine.

    Raises:
        ExportError: a partial sum can reach 2^24 units.
    """
    if not has_hyperprior(model):
        return
    largest = int(cast(Any, model).prior.scale.largest_sum())
    if largest >= EXACT_UNITS:
        raise ExportError(
            f"the exact prior can reach a partial sum of {largest} units, float32 is exact below {EXACT_UNITS}; "
            "train with smaller weights in prior.scale"
        )


def weight_hash(model: ExportableModel, prefixes: tuple[str, ...]) -> str:
    """Return the SHA-256 (hex) of the float32 weights below the prefixes, "" when there are none.

    Every tensor, sorted by name, contributes its name (UTF-8), its shape as JSON and its little-endian bytes. The
    hash does not depend on the exporter, so a re-export keeps the stream id.
    """
    digest = hashlib.sha256()
    chosen = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(prefixes)}
    for name, tensor in sorted(chosen.items()):
        values = np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy(), dtype="<f4")
        digest.update(name.encode())
        digest.update(canonical_json(list(tensor.shape)))
        digest.update(values.tobytes())
    return digest.hexdigest() if chosen else ""


def frozen_copy(model: ExportableModel) -> ExportableModel:
    """Return a float32 copy on the CPU in evaluation mode whose fixed-point layers are plain convolutions.

    A layer with `quantised()` rounds its weights in every forward pass; the copy holds the rounded ones.
    """
    copied = copy.deepcopy(cast(nn.Module, model)).cpu().float().eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "quantised"):
                setattr(parent, name, _fixed_convolution(child))
    return cast(ExportableModel, copied.requires_grad_(False))


def double_copy(model: ExportableModel) -> ExportableModel:
    """Return a float64 copy."""
    return cast(ExportableModel, copy.deepcopy(cast(nn.Module, model)).double())


def learned_steps(model: ExportableModel, qualities: int) -> NDArray[np.float64]:
    """Return the quantiser steps `[qualities, c]` that training found, coarsest first."""
    steps: Tensor = cast(Any, model).steps_for_quality(qualities)
    return steps.double().numpy()


def _fixed_convolution(layer: nn.Module) -> nn.Conv2d:
    weight, bias = cast(Any, layer).quantised()
    outputs, inputs, kernel, _ = weight.shape
    fixed = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    fixed.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return fixed.eval()
