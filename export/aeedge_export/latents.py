"""Latents of real images, from the exported encoder and from PyTorch."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_runtime.coding.tiling import cut_patches, pad_to_stride
from aeedge_runtime.inference.session import SessionOptions, open_session

BATCH_PIXELS = 1 << 20
"""Pixels of one run of the encoder."""

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def stacks(images: Sequence[Image]) -> Iterable[NDArray[np.uint8]]:
    """Group images of one size as `[N, H, W, C]`, each group of bounded size."""
    for _, group in groupby(sorted(images, key=lambda image: image.shape), key=lambda image: image.shape):
        members = list(group)
        step = max(1, BATCH_PIXELS // (members[0].shape[0] * members[0].shape[1]))
        for start in range(0, len(members), step):
            yield np.stack(members[start : start + step])


def encoder_outputs(graph: bytes, model: Autoencoder, images: Sequence[Image]) -> list[list[Floats]]:
    """Run an exported encoder over images of any size.

    Returns:
        Per group of images of one size the outputs of the graph, `[N, c, h, w]` each; `[N * h * w, c, 1, 1]` for a
        patched model.
    """
    session = open_session(graph, SessionOptions(), role="encoder.onnx")
    found: list[list[Floats]] = []
    for stack in stacks(images):
        padded = pad_to_stride(stack, model.stride)
        found.append(session.run({"image": cut_patches(padded, model.stride) if model.patched else padded}))
    return found


def flatten(latents: Iterable[Floats]) -> Floats:
    """Return latents `[N, c, h, w]` of several sizes as `[M, c]`."""
    return np.concatenate([part.transpose(0, 2, 3, 1).reshape(-1, part.shape[1]) for part in latents])


def crops(images: Sequence[Image], model: Autoencoder, most_pixels: int, side: int) -> list[Image]:
    """Cut centers of images, sizes multiples of the stride and near `side` at most, until there are `most_pixels`."""
    found: list[Image] = []
    pixels = 0
    for image in images:
        padded = pad_to_stride(image[None], model.stride)[0]
        size = [
            max(step, min(have, side) // step * step) for have, step in zip(padded.shape[:2], model.stride, strict=True)
        ]
        top, left = ((have - want) // 2 for have, want in zip(padded.shape[:2], size, strict=True))
        found.append(padded[top : top + size[0], left : left + size[1]])
        pixels += size[0] * size[1]
        if pixels >= most_pixels:
            break
    return found


def to_float(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return images `[N, H, W, C]` as float32 `[N, C, H, W]` in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


@torch.no_grad()
def torch_latents(model: Autoencoder, images: NDArray[np.uint8]) -> Floats:
    """Return PyTorch's latents `[N, c, h, w]` of images of one size, padded as the runtime pads."""
    latents: NDArray[Any] = model.encode(to_float(pad_to_stride(images, model.stride))).numpy()
    return latents.astype(np.float32)


@torch.no_grad()
def torch_pixels(model: Autoencoder, latents: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return PyTorch's images uint8 `[N, H, W, C]`, cropped to `size`, of latents `[N, c, h, w]`."""
    decoded = model.decode(torch.from_numpy(np.ascontiguousarray(latents)))
    pixels = decoded.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.numpy()[:, : size[0], : size[1]]
