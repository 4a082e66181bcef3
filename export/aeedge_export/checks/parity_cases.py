"""Stacks of real images that the parity gate compares on: several sizes, odd ones included, batches of 1 and 3."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder

LEAST_SYMBOLS = 20_000
"""Symbols compared at each quality: fewer cannot show a share of 1 in 10,000."""

MOST_SYMBOLS = 60_000
"""Symbols of the large case: a large network is measured in seconds."""


def parity_cases(model: Autoencoder, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return stacks `[N, H, W, C]` cut from images of any size; an image that is too small is repeated, mirrored.

    Args:
        model: its stride and channels decide the sizes.
        images: uint8 `[H, W, C]`.
    """
    high, wide = model.stride
    odd = [(1, 2 * high + 1, wide + wide // 2 + 1), (3, high // 2 + 1, 3 * wide - 1)]
    sizes = [(1, high, wide), (3, high, wide), *odd]
    if not model.patched:
        sizes = [(1, 5, 7), (1, 4 * high, 6 * wide), (3, 2 * high + 13, 7 * wide - 3), (1, 8 * high - 1, 5 * wide + 1)]
    stacks = []
    place = 0
    for count, height, width in [*sizes, _large_case(model, sizes)]:
        chosen = [images[(place + offset) % len(images)] for offset in range(count)]
        place += count
        stacks.append(np.stack([_fit(image, height, width) for image in chosen]))
    return stacks


def _large_case(model: Autoencoder, sizes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """One more case with as many symbols as the others lack, and a few thousand at least."""
    high, wide = model.stride
    covered = sum(count * -(-rows // high) * -(-columns // wide) for count, rows, columns in sizes)
    positions = max(-(-LEAST_SYMBOLS // model.latent_channels) - covered, 4)
    if model.patched:
        return positions, high, wide
    side = max(4, min(16, int(np.ceil(np.sqrt(positions)))))
    count = min(-(-positions // side**2), MOST_SYMBOLS // (side**2 * model.latent_channels))
    return max(1, count), side * high, side * wide


def _fit(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    larger = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
    top, left = (larger.shape[0] - height) // 2, (larger.shape[1] - width) // 2
    return np.ascontiguousarray(larger[top : top + height, left : left + width])
