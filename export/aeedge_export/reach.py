"""How far the networks see, in latent rows or columns: tiles of a large image overlap by this much."""

import torch
from torch import Tensor

from aeedge_export.model import ExportableModel

FIRST_GUESS = 12
ACROSS = 3
"""Latent positions in the direction that is not looked at."""


def network_reach(model: ExportableModel) -> int:
    """Return the largest distance in latent rows or columns over which a pixel and a latent position are linked."""
    if model.patched:
        return 0
    guess = FIRST_GUESS
    while True:
        found = max(reach(model, guess, axis) for reach in (_encoder_reach, _decoder_reach) for axis in range(2))
        if found < guess:
            return found
        guess *= 2


def _encoder_reach(model: ExportableModel, most: int, axis: int) -> int:
    """Distance of the pixels, counted in latent positions, that the middle row (axis 0) or column depends on."""
    size = [ACROSS * stride for stride in model.stride]
    size[axis] = (2 * most + 1) * model.stride[axis]
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, model.channels, *size), generator=generator)
    image.requires_grad_(True)
    model.encode(image).select(2 + axis, most).square().sum().backward()  # type: ignore[no-untyped-call]
    return _distance(image.grad, model.stride[axis], most, axis)


def _decoder_reach(model: ExportableModel, most: int, axis: int) -> int:
    """Distance of the latent positions that the pixels of the middle row (axis 0) or column depend on."""
    size = [ACROSS, ACROSS]
    size[axis] = 2 * most + 1
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn((1, model.latent_channels, *size), generator=generator)
    latent.requires_grad_(True)
    stride = model.stride[axis]
    middle = model.decode(latent).narrow(2 + axis, most * stride, stride)
    middle.square().sum().backward()  # type: ignore[no-untyped-call]
    return _distance(latent.grad, 1, most, axis)


def _distance(gradient: Tensor | None, size: int, middle: int, axis: int) -> int:
    if gradient is None:
        return 0
    touched = torch.nonzero(gradient.abs().amax(dim=(0, 1, 3 - axis)) > 0).flatten() // size
    return int((touched - middle).abs().max()) if len(touched) else 0
