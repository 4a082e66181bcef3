"""The witness of an own network: its latents and pixels of two images, kept with the weights.

Weights do not show what is computed with them: with another activation they load, export and pass the parity gate, and
only the images are wrong. So a checkpoint of an own network holds what the network computed when it was written.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeedge.models import Autoencoder
from aeedge.training.data.synthetic import photo
from aeedge_runtime.errors import ArgumentError, InputError
from aeedge_runtime.images.picture import to_gray

IMAGES, POSITIONS = 2, 4
"""Images of a witness, and latent positions a side of each."""

TOLERANCE = 1e-3
"""Root mean square of the difference, as a share of that of the values: machines differ by less than 1e-5, a swapped
activation by more than a tenth."""


def make_witness(model: Autoencoder) -> dict[str, Tensor]:
    """Return `image` uint8 `[2, C, H, W]`, and `latent` and `pixels` of it, float32 on the CPU."""
    rows, columns = (size * (1 if model.patched else POSITIONS) for size in model.stride)
    images = np.stack([photo(0, number, max(rows, columns))[:rows, :columns] for number in range(IMAGES)])
    images = to_gray(images) if model.channels == 1 else images
    image = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return {"image": image, **_computed(model, image)}


def check_witness(model: Autoencoder, witness: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a network that computes other latents or pixels than the one that the weights were trained in.

    Args:
        model: with the weights of the checkpoint.
        witness: from the checkpoint.
        path: the checkpoint, for messages.

    Raises:
        InputError: the checkpoint has no usable witness.
        ArgumentError: the network has changed.
    """
    rows, columns = (size * (1 if model.patched else POSITIONS) for size in model.stride)
    image = witness.get("image")
    expected_shape = (IMAGES, model.channels, rows, columns)
    if image is None or image.dtype != torch.uint8 or tuple(image.shape) != expected_shape:
        raise InputError(f"{path}: has no witness of an own network with images {list(expected_shape)}; it is damaged")
    for name, found in _computed(model, image).items():
        expected = witness.get(name)
        if expected is None or expected.shape != found.shape:
            raise InputError(f"{path}: its witness has no {name} of shape {list(found.shape)}; it is damaged")
        change = float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt().clamp_min(1e-12))
        if not change <= TOLERANCE:
            raise ArgumentError(
                f"the network has changed since it was trained: its {name} of the run's test images differ by "
                f"{100 * change:.2g} %, expected at most {100 * TOLERANCE:g} %; name the file as it was (the run keeps "
                "a copy, network.py.txt)"
            )


@torch.no_grad()
def _computed(model: Autoencoder, image: Tensor) -> dict[str, Tensor]:
    was_training = model.training
    model.eval()
    device = next((tensor.device for tensor in model.state_dict().values()), image.device)
    exact = torch.backends.cudnn.flags(allow_tf32=False)
    with exact, torch.autocast(device.type, enabled=False):
        latent = model.encode(image.to(device).float() / 255)
        pixels = model.decode(latent)
    model.train(was_training)
    return {"latent": latent.float().cpu().contiguous(), "pixels": pixels.float().cpu().contiguous()}
