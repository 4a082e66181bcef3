"""A differentiable SSIMULACRA2: the error that people see, at five scales of an opponent color space.

SSIMULACRA2 (github.com/cloudinary/ssimulacra2) sums 108 features of XYB planes at six scales, weighted by human
ratings. The 22 that weigh most are computed here, most of them of brightness at 1/4 and 1/8 of the resolution, where a
codec trained for the squared error of RGB values is worst. The result is the sum, not the score: it is 0 for equal
images and grows with the squared error, whereas the score bends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ABSORBANCE = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
"""Linear RGB to the responses of the eye's receptors."""

ABSORBANCE_BIAS = 0.0037930732552754493
CONSTANT = 0.0009
RADIUS, SIGMA = 5, 1.5
SMALLEST_SIDE = 8

SCALE = 0.9562382616834844
"""Factor that the score applies to the sum."""

SMALLEST_MEAN = 1e-16
"""Added to the mean of fourth powers, whose root has no gradient at 0."""


@dataclass(frozen=True)
class Weights:
    """Weights of one plane at one scale.

    Attributes:
        plane: 0, 1, 2 for X (red against green), Y (brightness), B (blue).
        similarity: of the mean and of the root mean fourth power of 1 - SSIM.
        ringing: of the root mean fourth power of edges that the image has and the target has not.
        blur: of edges that the target has and the image has not.
    """

    plane: int
    similarity: tuple[float, float] = (0.0, 0.0)
    ringing: float = 0.0
    blur: float = 0.0


SCALES: tuple[tuple[Weights, ...], ...] = (
    (Weights(1, (0.0, 7.467), blur=17.446),),
    (Weights(0, (0.0, 1.104)), Weights(1, (0.0, 6.684), blur=1.028)),
    (Weights(0, (0.0, 1.842), ringing=11.441), Weights(1, (225.205, 19.213))),
    (
        Weights(0, (0.0, 1.879), ringing=10.949),
        Weights(1, (176.393, 24.433), ringing=0.285),
        Weights(2, (0.0, 8.827), ringing=23.192),
    ),
    (
        Weights(0, ringing=0.998),
        Weights(1, (0.0, 34.779), ringing=44.836),
        Weights(2, (95.108, 0.0), ringing=171.267, blur=0.981),
    ),
)
"""Weights at full resolution, at 1/2, 1/4, 1/8 and 1/16."""


def ssimulacra(image: Tensor, target: Tensor) -> Tensor:
    """Weighted sum of the features of each image, [N], from 0; see `score`. Sides below 8 pixels end the scales.

    Args:
        image: float32 [N, 3, H, W], clipped to 0..1.
        target: likewise.
    """
    image, target = _linear(image.clamp(0, 1)), _linear(target)
    total = image.new_zeros(image.shape[0])
    for number, scale in enumerate(SCALES):
        if number:
            image, target = (functional.avg_pool2d(value, 2, ceil_mode=True) for value in (image, target))
        if min(image.shape[2:]) < SMALLEST_SIDE:
            break
        chosen = [weights.plane for weights in scale]
        total = total + _features(_planes(image, chosen), _planes(target, chosen), scale)
    return total * SCALE


def score(total: Tensor) -> Tensor:
    """Turn weighted sums into scores: 100 for equal images, 90 for no visible difference, 50 for medium quality."""
    bent = 2.326765642916932 * total - 0.020884521182843837 * total**2 + 6.248496625763138e-05 * total**3
    return 100 - 10 * bent.clamp_min(0) ** 0.6276336467831387


def _linear(image: Tensor) -> Tensor:
    """Undo the transfer curve of sRGB."""
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def _planes(linear: Tensor, chosen: Sequence[int]) -> Tensor:
    """Return the chosen planes of XYB, in the ranges that the metric gives them."""
    mixed = torch.einsum("rc,nchw->nrhw", linear.new_tensor(ABSORBANCE), linear)
    response = (mixed + ABSORBANCE_BIAS) ** (1 / 3) - ABSORBANCE_BIAS ** (1 / 3)
    red, green, blue = response.unbind(dim=1)
    brightness = 0.5 * (red + green)
    planes = (7 * (red - green) + 0.42, brightness + 0.01, blue - brightness + 0.55)
    return torch.stack([planes[place] for place in chosen], dim=1)


def _features(image: Tensor, target: Tensor, scale: Sequence[Weights]) -> Tensor:
    """Weighted sum of the features of the planes of one scale, [N]."""
    mean, wanted = _blur(image), _blur(target)
    covariance = _blur(image * target) - mean * wanted
    variances = _blur(image * image) - mean * mean + _blur(target * target) - wanted * wanted
    similarity = (1 - (mean - wanted).square()) * (2 * covariance + CONSTANT) / (variances + CONSTANT)
    unlike = (1 - similarity).clamp_min(0)
    edges = (1 + (image - mean).abs()) / (1 + (target - wanted).abs()) - 1
    total = image.new_zeros(image.shape[0])
    for place, weights in enumerate(scale):
        average, root = weights.similarity
        total = total + average * unlike[:, place].mean(dim=(1, 2)) + root * _root_mean(unlike[:, place])
        if weights.ringing:
            total = total + weights.ringing * _root_mean(edges[:, place].clamp_min(0))
        if weights.blur:
            total = total + weights.blur * _root_mean((-edges[:, place]).clamp_min(0))
    return total


def _root_mean(values: Tensor) -> Tensor:
    """Fourth root of the mean fourth power of each image's values [N, H, W]."""
    return (values.square().square().mean(dim=(1, 2)) + SMALLEST_MEAN) ** 0.25


def _blur(planes: Tensor) -> Tensor:
    """Gaussian mean around each value, of what lies inside of the image.

    Two products with band matrices: on CPUs they take a tenth of the time of depthwise convolutions.
    """
    rows, columns = (_band(planes, size) for size in planes.shape[2:])
    return rows @ planes @ columns.T


def _band(planes: Tensor, size: int) -> Tensor:
    position = torch.arange(size, device=planes.device, dtype=planes.dtype)
    distance = position[:, None] - position
    window = torch.exp(-(distance**2) / (2 * SIGMA**2)) * (distance.abs() <= RADIUS)
    return window / window.sum(dim=1, keepdim=True)
