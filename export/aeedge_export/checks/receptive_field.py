"""Receptive field of the networks, in latent rows or columns: tiles of a large image overlap by this much."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder
from aeedge_export.errors import ExportError
from aeedge_export.frozen import detached_copy
from aeedge_export.latents import to_float
from aeedge_export.networks.adapted import AdaptedAutoencoder
from aeedge_export.networks.checks import refuse_whole_view

FIRST_GUESS, LARGEST_GUESS = 8, 64
"""Latent rows or columns on either side of a cut that are looked at."""

IMAGES = 12
"""Real images that are cut."""

QUALITIES = (1, 50, 100)
"""Qualities whose latents the decoder is given."""

LATENT_CHANGE, PIXEL_CHANGE = (1e-4, 0.05), (0.02, 0.5)
"""What may change along a cut, mean and largest, in steps of the finest quality and in 8-bit levels. The mean of the
one is the share of symbols that come out one off, no more than two machines may write differently; of the other, the
share of pixels."""


@torch.no_grad()
def network_reach(model: Autoencoder, steps: NDArray[Any], images: Sequence[NDArray[np.uint8]]) -> int:
    """Return the distance, in latent rows or columns, beyond which a cut in the image has no measurable effect.

    Images are halved, and the halves go through the networks alone. At this distance from the cut and beyond they give
    what the whole gives there, within `LATENT_CHANGE` and `PIXEL_CHANGE`. Kernels may reach further, where what they
    see there does not show.

    Args:
        model: in evaluation mode, in double precision if it can; see `double_copy`.
        steps: quantizer steps, floating point `[100, c]`, coarsest first.
        images: real images, uint8 `[H, W, C]`; small ones are continued by their mirror image.

    Raises:
        ExportError: a cut is felt at any distance, or there are no images.
    """
    if model.patched:
        return 0
    if not images:
        raise ExportError("the run's data has no images to measure on how far the networks see")
    if isinstance(model, AdaptedAutoencoder):
        single = detached_copy(model, model.modules()).float()
        refuse_whole_view(single, images[0], np.asarray(steps, np.float64)[-1])
    guess = FIRST_GUESS
    while guess <= LARGEST_GUESS:
        cut = [_sized(model, image, guess) for image in images[:IMAGES]]
        found = max(felt for pixels in cut for felt in _all_felt(model, steps, pixels))
        if found < guess:
            return found
        guess *= 2
    raise ExportError(
        f"the network sees how an image ends {LARGEST_GUESS} latent rows or columns away; large images go through it "
        "in parts, so it must not average over the whole image, nor attend to all of it"
    )


def _sized(model: Autoencoder, image: NDArray[np.uint8], most: int) -> Tensor:
    """Return an image's corner of 2 `most` latent positions each way, continued where it ends, in 0..1."""
    rows, columns = (2 * most * stride for stride in model.stride)
    missing = max(rows - image.shape[0], 0), max(columns - image.shape[1], 0)
    continued = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    return to_float(continued[None, :rows, :columns]).to(_precision(model))


def _precision(model: Autoencoder) -> torch.dtype:
    """Return the precision of a network's weights; one without weights of PyTorch takes any."""
    return next((weight.dtype for weight in model.parameters()), torch.float64)


def _all_felt(model: Autoencoder, steps: NDArray[Any], pixels: Tensor) -> Iterator[int]:
    """Distances within which a cut is felt: by the encoder, then by the decoder at each quality; both ways."""
    scales = torch.from_numpy(np.asarray(steps, np.float64))[:, :, None, None]
    latent = model.encode(pixels)
    for axis in (2, 3):
        yield _felt(lambda part: model.encode(part) / scales[-1], pixels, axis, LATENT_CHANGE)
        for quality in QUALITIES:
            scale = scales[quality - 1]
            rounded = (torch.round(latent / scale) * scale).to(latent.dtype)
            yield _felt(lambda part: 255 * model.decode(part).clamp(0, 1), rounded, axis, PIXEL_CHANGE)


def _felt(function: Callable[[Tensor], Tensor], whole: Tensor, axis: int, limits: tuple[float, float]) -> int:
    """Distance, in latent positions, within which halves of an input give something else than the whole does."""
    given = function(whole)
    halves = [function(half.contiguous()) for half in whole.chunk(2, axis)]
    middle = min(whole.shape[axis], given.shape[axis]) // 2
    change = (torch.cat(halves, axis) - given).abs().movedim(axis, 0).reshape(2, middle, -1)
    outwards = torch.stack([change[0].flip(0), change[1]])
    mean, largest = outwards.mean(dim=2), outwards.amax(dim=2)
    felt = ((mean > limits[0]) | (largest > limits[1])).any(dim=0)
    return int(torch.nonzero(felt).max()) + 1 if felt.any() else 0
