"""Sensitivity of the image to each latent channel, which determines the shape of the quantizer steps.

To first order, noise of variance v in channel c adds v * S_c to the squared error of the pixels that one latent
position reaches, with S_c the squared column norm of the decoder's Jacobian. Hutchinson's estimator gives all channels
with one backward pass a probe: for random signs u over the pixels, E[(J^T u)_c^2] = S_c.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder
from aeedge_export.networks.adapted import AdaptedAutoencoder

PROBES = 8
"""Backward passes per batch; with hundreds of positions the estimate of a channel is good to a few per cent."""

BATCH_PIXELS = 1 << 18
"""Pixels decoded at once."""

DIFFERENCE_PIXELS = 1 << 17
"""Pixels decoded once per channel where there are no gradients."""

DIFFERENCE = 0.5
"""Change of a channel there, as a share of its spread: large enough that a decoder which rounds to 8 bits shows more
than its rounding."""

FLOOR = 1e-6
"""Smallest sensitivity relative to the largest: a channel that the decoder ignores keeps a finite step."""


def decoder_sensitivity(model: Autoencoder, latent: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the expected squared change of pixels in 0..1, summed, per squared unit of latent, `[c]`.

    Args:
        model: in evaluation mode.
        latent: `[N, c, h, w]` of real images.
    """
    if isinstance(model, AdaptedAutoencoder) and not model.differentiable:
        return difference_sensitivity(model, latent)
    generator = torch.Generator().manual_seed(0)
    rows, columns = model.stride
    batch = max(1, BATCH_PIXELS // (rows * columns * latent.shape[2] * latent.shape[3]))
    total = torch.zeros(latent.shape[1], dtype=torch.float64)
    positions = 0
    for start in range(0, len(latent), batch):
        part = torch.from_numpy(latent[start : start + batch])
        total += _probe(model, part, generator)
        positions += part.shape[0] * part.shape[2] * part.shape[3]
    mean = total.numpy() / max(positions, 1)
    sensitivity: NDArray[np.float64] = np.maximum(mean, FLOOR * max(mean.max(), 1e-30))
    return sensitivity


def _probe(model: Autoencoder, latent: Tensor, generator: torch.Generator) -> Tensor:
    """Sum of the estimates over the positions of one batch, `[c]`."""
    latent = latent.detach().requires_grad_(True)
    image = model.decode(latent).clamp(0, 1)
    total = torch.zeros(latent.shape[1], dtype=torch.float64)
    for probe in range(PROBES):
        signs = torch.randint(0, 2, image.shape, generator=generator).float() * 2 - 1
        (gradient,) = torch.autograd.grad(image, latent, signs, retain_graph=probe + 1 < PROBES)
        total += gradient.double().square().sum(dim=(0, 2, 3)) / PROBES
    return total


@torch.no_grad()
def difference_sensitivity(model: Autoencoder, latent: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sensitivity as `decoder_sensitivity` does, without gradients: by changing one channel after another.

    Args:
        model: in evaluation mode.
        latent: `[N, c, h, w]` of real images.
    """
    rows, columns = model.stride
    pixels_each = rows * columns * latent.shape[2] * latent.shape[3]
    value = torch.from_numpy(np.ascontiguousarray(latent[: max(1, DIFFERENCE_PIXELS // pixels_each)]))
    given = model.decode(value).clamp(0, 1)
    generator = torch.Generator().manual_seed(0)
    found = np.zeros(value.shape[1])
    for channel in range(value.shape[1]):
        size = DIFFERENCE * float(value[:, channel].std(correction=0)) + 1e-6
        moved = value.clone()
        moved[:, channel] += size * (torch.randint(0, 2, moved[:, channel].shape, generator=generator) * 2 - 1)
        change = (model.decode(moved).clamp(0, 1) - given).double().square().sum()
        found[channel] = float(change) / size**2 / (value.shape[0] * value.shape[2] * value.shape[3])
    sensitivity: NDArray[np.float64] = np.maximum(found, FLOOR * max(found.max(), 1e-30))
    return sensitivity
