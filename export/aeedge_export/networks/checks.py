"""Cheap checks of a network before an export: repeatable, independent of the batch, local."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aeedge.models import Autoencoder
from aeedge_export.errors import ExportError
from aeedge_export.latents import to_float
from aeedge_export.networks.adapted import AdaptedAutoencoder

GRID = 16
"""Latent rows and columns on either side of the cut in the probe of the view."""

STEPS_PER_SPREAD = 8
"""A quantizer step is taken for this part of the latent's spread where tables do not exist yet."""

LEAST_CHANGE = (1e-3, 0.2)
"""Mean change at the far end that counts: of the latent in steps, and of pixels in 8-bit levels."""

DECAY = 0.5
"""A change at 16 positions of at least this share of the change at 8 does not fade with distance: with attention it was
0.26 of a step against 0.36, in convolutional networks exactly 0."""


@torch.no_grad()
def check_repeatable(model: AdaptedAutoencoder) -> None:
    """Refuse an encoder that draws random numbers, and a decoder that uses what the last call of the encoder left.

    Raises:
        ExportError: naming what to change.
    """
    rows, columns = (stride * (1 if model.patched else 4) for stride in model.stride)
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(1, model.channels, rows, columns, generator=generator) for _ in range(2))
    latent = model.encode(first)
    if not latent.is_floating_point():
        raise ExportError(
            f"the latent is {latent.dtype}, such as indices of a codebook; return the vectors that the decoder takes"
        )
    if not _close(latent, model.encode(first)):
        raise ExportError(
            "the encoder draws random numbers: two calls give two latents; return the mean, or name it with latent"
        )
    image, other = model.decode(latent), model.encode(second)
    if not _close(image, model.decode(latent)):
        raise ExportError(
            "the decoder uses values that the encoder left behind (a skip around the bottleneck), or random numbers; "
            "it must depend on the latent alone"
        )
    both = model.encode(torch.cat([first, second]))
    if not (_close(latent, both[:1]) and _close(other, both[1:]) and _close(image, model.decode(both)[:1])):
        raise ExportError(
            "two images at once give different results than one alone: a batch of 1 is baked into the network, or "
            "images of a batch depend on each other; export it with a free batch, in evaluation mode"
        )


@torch.no_grad()
def sees_whole_image(model: Autoencoder, image: NDArray[np.uint8], steps: NDArray[np.float64] | None = None) -> bool:
    """Return whether a network looks at the whole image: a cut changes the result at any distance.

    One image of 32 latent positions a side, which attention can afford; the receptive field itself is measured on up
    to 128.

    Args:
        model: in evaluation mode, in float32.
        image: uint8 `[H, W, C]`; a small one is continued by its mirror image.
        steps: finest quantizer steps `[c]`; None before calibration.
    """
    if model.patched:
        return False
    rows, columns = (2 * GRID * stride for stride in model.stride)
    missing = max(rows - image.shape[0], 0), max(columns - image.shape[1], 0)
    continued = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    pixels = to_float(continued[None, :rows, :columns])
    latent = model.encode(pixels)
    unit = latent.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-12) / STEPS_PER_SPREAD
    if steps is not None:
        unit = torch.from_numpy(np.asarray(steps, np.float32))[:, None, None]
    return _spreads(lambda part: model.encode(part) / unit, pixels, LEAST_CHANGE[0]) or _spreads(
        lambda part: 255 * model.decode(part).clamp(0, 1), latent, LEAST_CHANGE[1]
    )


def refuse_whole_view(model: Autoencoder, image: NDArray[np.uint8], steps: NDArray[np.float64] | None = None) -> None:
    """Refuse a network that looks at the whole image; the arguments are those of `sees_whole_image`.

    Raises:
        ExportError: it does.
    """
    if sees_whole_image(model, image, steps):
        raise ExportError(
            "the network looks at the whole image (attention, or statistics over all of it), so it cannot run on "
            "overlapping tiles; give whole (the most pixels of an image) or tile (rows, columns)"
        )


def _spreads(function: Callable[[Tensor], Tensor], whole: Tensor, least: float) -> bool:
    halves = torch.cat([function(half.contiguous()) for half in whole.chunk(2, 3)], 3)
    columns = (halves - function(whole)).abs().mean(dim=(0, 1, 2)).reshape(2 * GRID, -1).mean(dim=1)
    outwards = (columns[:GRID].flip(0) + columns[GRID:]) / 2
    return bool(outwards[-1] > least and outwards[-1] > DECAY * outwards[GRID // 2 - 1])


def _close(first: Tensor, second: Tensor) -> bool:
    return bool(torch.allclose(first, second, rtol=1e-4, atol=1e-5 * float(first.abs().max()) + 1e-12))


def reconstruction_psnr(model: Autoencoder, images: Sequence[NDArray[np.uint8]]) -> float:
    """Return the PSNR in dB of images that went through the network without quantization."""
    squared = count = 0.0
    with torch.no_grad():
        for image in images:
            pixels = to_float(image[None])
            squared += float((model.decode(model.encode(pixels)).clamp(0, 1) - pixels).double().square().sum())
            count += pixels.numel()
    error = squared / max(count, 1)
    return float(-10 * np.log10(max(error, 1e-10))) if np.isfinite(error) else -np.inf
