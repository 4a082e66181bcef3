"""Tables kept from an existing bundle, so that the new one decodes its streams."""

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_export.errors import ExportError
from aeedge_export.weights import PRIOR, encoder_hash, weight_hash, with_float16_weights
from aeedge_runtime.bundle.bundle import Bundle
from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.errors import ArgumentError


def tables_of(bundle: Bundle, model: Autoencoder) -> dict[str, NDArray[np.generic]]:
    """Return the tables of a bundle that has the same encoder and prior.

    Raises:
        ArgumentError: the bundle is of another model.
    """
    if not _has_encoder(bundle, model):
        if is_rounded(bundle, model):
            raise ArgumentError(f"{bundle} was exported with --store-float16; pass this option here too")
        raise ArgumentError(f"{bundle} has another encoder, so its tables do not fit; leave out --tables-from")
    return dict(read_arrays(bundle.read("entropy.npz")))


def is_rounded(bundle: Bundle, model: Autoencoder) -> bool:
    """Return whether a bundle holds this encoder and prior rounded to float16."""
    if _has_encoder(bundle, model):
        return False
    try:
        return _has_encoder(bundle, with_float16_weights(model))
    except ExportError:  # float16 does not hold them
        return False


def _has_encoder(bundle: Bundle, model: Autoencoder) -> bool:
    parts = bundle.manifest.stream_id_parts
    return (encoder_hash(model), weight_hash(model, PRIOR)) == (parts["encoder"], parts["prior"])
