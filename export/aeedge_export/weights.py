"""Weights of a model: checked, rounded to float16, hashed."""

import hashlib

import numpy as np
import torch

from aeedge.models import Autoencoder
from aeedge_export.errors import ExportError
from aeedge_export.frozen import detached_copy
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.prior.fitted import FittedAutoencoder
from aeedge_runtime.bundle.stream_id import canonical_json

PRIOR = ("hyper_encoder.", "prior.")
"""Prefixes of the weights of an exact prior."""


def check_weights(model: Autoencoder) -> None:
    """Refuse weights that are not finite: one of them loads and runs everywhere and ruins every image.

    Raises:
        ExportError: a tensor holds NaN or infinity; the message names it.
    """
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ExportError(f"the weight {name} holds NaN or infinity; train again, or export another checkpoint")


def with_float16_weights(model: Autoencoder) -> Autoencoder:
    """Return a copy of the model with weights that float16 holds exactly: 11 significant bits in half the space.

    Raises:
        ExportError: a weight is beyond 65504.
    """
    copied = detached_copy(model, model.modules())
    with torch.no_grad():
        for name, tensor in copied.state_dict().items():
            if tensor.dtype != torch.float32:
                continue
            tensor.copy_(tensor.half().float())
            if bool(torch.isinf(tensor).any()):
                raise ExportError(
                    f"the weight {name} is beyond 65504, the largest of float16; export without --store-float16"
                )
    return copied


def encoder_hash(model: Autoencoder) -> str:
    """Return the SHA-256 (hex) of the encoder, on which the latent depends."""
    if isinstance(model, AdaptedAutoencoder | FittedAutoencoder):
        return model.encoder_hash()
    return weight_hash(model, ("encoder.",))


def weight_hash(model: Autoencoder, prefixes: tuple[str, ...]) -> str:
    """Return the SHA-256 (hex) of the float32 weights below the prefixes, "" if there are none.

    Every tensor, sorted by name, contributes its name (UTF-8), its shape as JSON and its little-endian bytes. The
    hash does not depend on the exporter, so exporting again keeps the stream id.
    """
    digest = hashlib.sha256()
    chosen = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(prefixes)}
    for name, tensor in sorted(chosen.items()):
        values = np.ascontiguousarray(tensor.detach().cpu().to(torch.float32).numpy(), dtype="<f4")
        digest.update(name.encode())
        digest.update(canonical_json(list(tensor.shape)))
        digest.update(values.tobytes())
    return digest.hexdigest() if chosen else ""
