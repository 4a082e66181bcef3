"""How far the networks see, in latent rows: bands of a large image overlap by this much."""

import torch
from torch import Tensor

from aeedge_export.model import ExportableModel

FIRST_GUESS = 12
COLUMNS = 3


def network_reach(model: ExportableModel) -> int:
    """Return the largest distance in latent rows over which a pixel and a latent of the other side touch each other."""
    if model.patched:
        return 0
    guess = FIRST_GUESS
    while True:
        found = max(_encoder_reach(model, guess), _decoder_reach(model, guess))
        if found < guess:
            return found
        guess *= 2


def _encoder_reach(model: ExportableModel, rows: int) -> int:
    """Rows of pixels, counted in latent rows, that the middle row of the latent depends on."""
    high, wide = model.stride
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, model.channels, (2 * rows + 1) * high, COLUMNS * wide), generator=generator)
    image.requires_grad_(True)
    model.encode(image)[:, :, rows].square().sum().backward()  # type: ignore[no-untyped-call]
    return _distance(image.grad, high, rows)


def _decoder_reach(model: ExportableModel, rows: int) -> int:
    """Rows of the latent that the pixels of its middle row depend on."""
    high = model.stride[0]
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn((1, model.latent_channels, 2 * rows + 1, COLUMNS), generator=generator)
    latent.requires_grad_(True)
    model.decode(latent)[:, :, rows * high : (rows + 1) * high].square().sum().backward()  # type: ignore[no-untyped-call]
    return _distance(latent.grad, 1, rows)


def _distance(gradient: Tensor | None, size: int, middle: int) -> int:
    if gradient is None:
        return 0
    touched = torch.nonzero(gradient.abs().amax(dim=(0, 1, 3)) > 0).flatten() // size
    return int((touched - middle).abs().max()) if len(touched) else 0
