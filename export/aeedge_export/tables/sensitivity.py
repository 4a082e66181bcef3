"""How much the picture changes per unit of latent: what makes a quantizer step dear or cheap.

To first order, noise of variance v in channel c adds v * S_c to the squared error of the pixels that one latent
position reaches, with S_c the squared column norm of the decoder's Jacobian. Hutchinson's estimator gives all channels
with one backward pass a probe: for random signs u over the pixels, E[(J^T u)_c^2] = S_c.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder

PROBES = 8
"""Backward passes per batch; with hundreds of positions the estimate of a channel is good to a few per cent."""

BATCH_PIXELS = 1 << 18
"""Pixels decoded at once."""

FLOOR = 1e-6
"""Smallest sensitivity relative to the largest: a channel that the decoder ignores keeps a finite step."""


def decoder_sensitivity(model: Autoencoder, latent: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the expected squared change of pixels in 0..1, summed, per squared unit of latent, `[c]`.

    Args:
        model: in evaluation mode.
        latent: `[N, c, h, w]` of real images.
    """
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
