"""Losses as pure functions; `aeedge.training.objectives.base` puts them together.

Images are float32 [N, C, H, W], targets in 0..1. A distortion is returned per image, [N], as the mean over its values.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from aeedge.configuration import nearest
from aeedge.training.objectives.ssimulacra import ssimulacra
from aeedge_runtime.errors import ArgumentError

HUBER_DELTA = 0.1
"""Difference, in units of the pixel range, at which the Huber loss turns from squared to linear."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weight of each scale, finest first, from the paper."""

WINDOW = 11
WINDOW_SIGMA = 1.5
SSIM_CONSTANTS = (0.01**2, 0.03**2)
SMALLEST_SSIM = 1e-6
"""Contrast terms are kept above this, so that their fractional powers have finite gradients."""


def mse(image: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of each image, [N]; times 255^2 it is in 8-bit units."""
    return (image - target).square().flatten(1).mean(1)


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of each image, [N]."""
    return (image - target).abs().flatten(1).mean(1)


def huber(image: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss of each image, [N]: d^2 / 2 up to 0.1, 0.1 (|d| - 0.05) beyond."""
    return functional.huber_loss(image, target, reduction="none", delta=HUBER_DELTA).flatten(1).mean(1)


def bce(image: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy in nats of each image, [N]; images are in 0..1, as behind a sigmoid, or NaN."""
    lost = image.isnan()  # torch would raise, before a run can keep the batch that led there
    entropy = functional.binary_cross_entropy(image.masked_fill(lost, 0.5), target, reduction="none")
    return entropy.masked_fill(lost, math.nan).flatten(1).mean(1)


def ms_ssim(image: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM of each image, [N], over as many of the five scales as the size allows.

    "Multi-scale structural similarity for image quality assessment" (Asilomar 2003). Sides below 176 pixels leave out
    the coarsest scales, whose weights are then shared out.

    Raises:
        ArgumentError: a side is below 11 pixels, the size of the window.
    """
    side = min(image.shape[2], image.shape[3])
    if side < WINDOW:
        raise ArgumentError(f"ms-ssim: found images of {side} pixels, expected at least {WINDOW} a side")
    scales = min(len(MS_SSIM_WEIGHTS), int(math.log2(side / WINDOW)) + 1)
    total = sum(MS_SSIM_WEIGHTS[:scales])
    product = image.new_ones(image.shape[0])
    for scale, weight in enumerate(MS_SSIM_WEIGHTS[:scales], 1):
        similarity, contrast = _ssim(image, target)
        value = similarity if scale == scales else contrast
        product = product * value.clamp_min(SMALLEST_SSIM) ** (weight / total)
        image, target = functional.avg_pool2d(image, 2), functional.avg_pool2d(target, 2)
    return 1 - product


def kl_normal(mean: Tensor, log_variance: Tensor, free_bits: float = 0.0) -> Tensor:
    """Return the KL divergence in nats of each latent [N, c, h, w] from the standard normal, [N].

    "Auto-Encoding Variational Bayes" (arXiv 1312.6114), appendix B. With `free_bits` (nats) a dimension whose mean
    divergence over the batch is lower counts as that much ("Improved variational inference with inverse autoregressive
    flow", arXiv 1606.04934), so that it is not pressed to zero.
    """
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1)
    if free_bits > 0:
        average = divergence.mean(0)
        divergence = divergence + (average.clamp_min(free_bits) - average)
    return divergence.sum(1)


def mixture(image: Tensor, target: Tensor, terms: Mapping[str, float]) -> dict[str, Tensor]:
    """Return each named distortion of each image, [N], unweighted.

    Raises:
        ArgumentError: a name that is no distortion; the message names the nearest.
    """
    for name in terms:
        if name not in DISTORTIONS:
            raise ArgumentError(f'training.loss.terms: unknown loss "{name}"{nearest(name, DISTORTIONS)}')
    return {name: DISTORTIONS[name](image, target) for name in terms}


def warm(step: int, steps: int) -> float:
    """Return how much of a term counts at a step: 0 to 1 over `steps` steps, 1 in validation and without warm-up."""
    return min(1.0, (step + 1) / steps) if steps > 0 and step >= 0 else 1.0


def _ssim(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean structural similarity and mean contrast-structure term of each image, [N]."""
    position = torch.arange(WINDOW, device=image.device, dtype=image.dtype) - WINDOW // 2
    window = torch.exp(-(position**2) / (2 * WINDOW_SIGMA**2))
    window = (window / window.sum()).expand(image.shape[1], 1, 1, WINDOW)

    def blur(value: Tensor) -> Tensor:
        across = functional.conv2d(value, window, groups=value.shape[1])
        return functional.conv2d(across, window.transpose(2, 3), groups=value.shape[1])

    first, second = blur(image), blur(target)
    variance = blur(image * image) - first**2, blur(target * target) - second**2
    covariance = blur(image * target) - first * second
    low, high = SSIM_CONSTANTS
    contrast = (2 * covariance + high) / (variance[0] + variance[1] + high)
    brightness = (2 * first * second + low) / (first**2 + second**2 + low)
    return (brightness * contrast).flatten(1).mean(1), contrast.flatten(1).mean(1)


DISTORTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": bce,
    "huber": huber,
    "l1": l1,
    "ms-ssim": ms_ssim,
    "mse": mse,
    "ssimulacra": ssimulacra,
}
"""Name in a config -> distortion."""
