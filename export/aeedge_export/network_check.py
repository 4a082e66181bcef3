"""A quick check of an adapted network: everything that would stop an export, in seconds."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.training.data.synthetic import photo
from aeedge_export.checks.receptive_field import network_reach
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.graphs.build import export_graphs
from aeedge_export.images import split_images
from aeedge_export.latents import crops, to_float
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.checks import STEPS_PER_SPREAD, refuse_whole_view
from aeedge_export.networks.torch_pair import warn_of_pixels
from aeedge_export.tables.calibrate import check_outputs
from aeedge_export.weights import check_weights
from aeedge_runtime.bundle.tables import QUALITIES
from aeedge_runtime.images.picture import to_gray

IMAGES, SIDE = 3, 256
"""Images, and the side of their crops, that are looked at."""


def check_network(model: AdaptedAutoencoder, data: Path | str | None = None) -> dict[str, Any]:
    """Return what was found in a network, plain values.

    Args:
        model: the network.
        data: folder of images; None for synthetic photographs, which say nothing of the pixel range.

    Raises:
        ExportError: what would stop an export.
    """
    check_weights(model)
    frozen = frozen_copy(model)
    images = split_images(model, data)[0][:IMAGES] if data is not None else _synthetic(model)
    check_outputs(frozen, images)
    facts: dict[str, Any] = {
        "network": str(model.config),
        "image_channels": model.channels,
        "stride": list(model.stride),
        "latent_channels": model.latent_channels,
        "parameters": sum(tensor.numel() for tensor in model.state_dict().values()),
        "pixels": model.pixels.name,
    }
    if data is not None:
        facts["psnr_db"] = round(warn_of_pixels(model, images), 2)
    facts["receptive_field"] = _view(frozen, images)  # type: ignore[arg-type]
    export_graphs(frozen)
    facts["graphs"] = "encoder and decoder exported"
    return facts


def _view(model: AdaptedAutoencoder, images: list[NDArray[np.uint8]]) -> str:
    if model.patched:
        return "one patch"
    if model.whole:
        return f"the whole image, up to {model.whole} pixels"
    refuse_whole_view(model, images[0])
    latent = model.encode(to_float(crops(images, model, SIDE**2, SIDE)[0][None]))
    unit = latent.detach().std(dim=(0, 2, 3)).clamp(min=1e-12).double().numpy() / STEPS_PER_SPREAD
    steps = np.tile(unit, (QUALITIES, 1))
    return f"{network_reach(double_copy(model), steps, images)} latent rows or columns"


def _synthetic(model: AdaptedAutoencoder) -> list[NDArray[np.uint8]]:
    side = max(SIDE, *model.stride)
    images = [photo(0, number, side) for number in range(IMAGES)]
    return [to_gray(image[None])[0] if model.channels == 1 else image for image in images]
