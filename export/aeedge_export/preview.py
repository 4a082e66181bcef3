"""The preview decoder: a picture at 1/8 of its rows and columns, as a linear function of a few latent channels.

The latent is close to a linear transform of the pixels, and its first group of channels holds the coarse part. So one
3x3 convolution, whose weights are the solution of a least-squares problem, gives the small picture, and nothing has to
be trained. Measured on `photo`: 38 to 43 dB against the mean of every 8x8 pixels, at qualities 10 to 90.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aeedge.models.padded import PaddedConv2d
from aeedge_export.graphs.build import quantize_pixels
from aeedge_runtime.bundle.tables import EntropyTables
from aeedge_runtime.codec import Codec
from aeedge_runtime.coding.preview import SCALE, reduced
from aeedge_runtime.coding.tiling import pad_to_stride

QUALITIES = (10, 30, 50, 70, 90)
"""Qualities whose latents the weights are fitted to, one image after the other."""

MOST_SIDE = 1024
"""Rows and columns of an image that are used, at most."""

RIDGES = (1e-6, 1e-4, 1e-2, 1.0)
"""Shares of the mean square of a latent that are tried as the weight of small weights: the one is taken with which each
half of the images predicts the other best."""


class PreviewDecoder(nn.Module):
    """First group of latents float32 `[N, g, h, w]` to small pictures uint8 `[N, h * factor, w * factor, C]`.

    Args:
        weight: `[channels * factor^2, g, 3, 3]`.
        bias: `[channels * factor^2]`.
        factor: rows and columns of the small picture for each latent position.
    """

    def __init__(self, weight: Tensor, bias: Tensor, factor: int) -> None:
        super().__init__()
        self.factor = factor
        outputs, inputs = weight.shape[:2]
        self.head = PaddedConv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
        self.head.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, latent: Tensor) -> Tensor:
        """Decode."""
        return quantize_pixels(functional.pixel_shuffle(self.head(latent), self.factor)).permute(0, 2, 3, 1)


def fit_preview(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> PreviewDecoder | None:
    """Return the preview decoder of a bundle, or None if its stride is not a multiple of 8.

    Args:
        codec: the bundle, with an encoder.
        images: real images, uint8 `[H, W, C]`.
    """
    manifest, tables = codec.bundle.manifest, codec.bundle.tables
    rows, columns = manifest.image.stride
    if manifest.image.patched or rows != columns or rows % SCALE:
        return None
    factor = rows // SCALE
    channels = (manifest.prior.groups or (manifest.latent_channels,))[0]
    size = channels * 9 + 1, manifest.image.channels * factor**2
    halves = (_Sums(*size), _Sums(*size))
    for number, image in enumerate(images):
        pixels = pad_to_stride(image[None, :MOST_SIDE, :MOST_SIDE], manifest.image.stride)
        quality = QUALITIES[number // 2 % len(QUALITIES)]
        latent = _dequantized(codec.encode_batch(pixels)[0], tables, quality)[:channels]
        halves[number % 2].add(_neighborhoods(latent), _as_channels(reduced(pixels[0]) / 255, factor))
    solution = _solve(*halves).astype(np.float16).astype(np.float32)
    weight = torch.from_numpy(np.ascontiguousarray(solution[:-1].T)).reshape(-1, channels, 3, 3)
    return PreviewDecoder(weight, torch.from_numpy(solution[-1].copy()), factor).eval()


class _Sums:
    """Sums over positions that a least-squares problem needs, of inputs `[n, inputs]` and outputs `[n, outputs]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.square, self.mixed = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))

    def add(self, seen: NDArray[np.float64], wanted: NDArray[np.float64]) -> None:
        """Add positions."""
        self.square += seen.T @ seen
        self.mixed += seen.T @ wanted

    def solution(self, ridge: float) -> NDArray[Any]:
        """Return the weights, `[inputs, outputs]`; the bias, which is last, may be large."""
        penalty = np.full(len(self.square), ridge * np.trace(self.square) / len(self.square))
        penalty[-1] = 0
        weights: NDArray[Any] = np.linalg.solve(self.square + np.diag(penalty), self.mixed)
        return weights

    def error(self, weights: NDArray[Any]) -> float:
        """Return the squared error of weights here, up to a constant."""
        return float(np.sum(weights * (self.square @ weights - 2 * self.mixed)))


def _solve(even: _Sums, odd: _Sums) -> NDArray[Any]:
    ridge = min(RIDGES, key=lambda share: even.error(odd.solution(share)) + odd.error(even.solution(share)))
    both = _Sums(*even.mixed.shape)
    both.square, both.mixed = even.square + odd.square, even.mixed + odd.mixed
    return both.solution(ridge)


def _dequantized(latent: NDArray[np.float32], tables: EntropyTables, quality: int) -> NDArray[Any]:
    """Return what a decoder is given, without shrink and means, which move it by less than a step."""
    step, offset = tables.steps[quality - 1][:, None, None], tables.offsets[:, None, None]
    dequantized: NDArray[Any] = np.rint((latent - offset) / step) * step + offset
    return dequantized


def _neighborhoods(latent: NDArray[Any]) -> NDArray[np.float64]:
    """Return the 3x3 neighbors of every position, `[h * w, c * 9 + 1]`; the last column is one, for the bias."""
    channels, h, w = latent.shape
    framed = np.pad(latent.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(framed, (3, 3), axis=(1, 2))
    rows = windows.transpose(1, 2, 0, 3, 4).reshape(h * w, channels * 9)
    return np.concatenate([rows, np.ones((h * w, 1))], axis=1)


def _as_channels(small: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Return the pixels of every latent position, `[h * w, C * factor^2]`, in the order of `pixel_shuffle`."""
    h, w, channels = small.shape[0] // factor, small.shape[1] // factor, small.shape[2]
    blocks = small.reshape(h, factor, w, factor, channels).transpose(0, 2, 4, 1, 3)
    return blocks.reshape(h * w, channels * factor**2)
