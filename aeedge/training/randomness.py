"""Random numbers as pure functions of (seed, step, sample, purpose), so that no generator state has to be kept.

Philox is a counter-based generator ("Parallel random numbers: as easy as 1, 2, 3", SC 2011): one key per (seed, step,
purpose), one block of the counter per sample. A process that works on samples 4 to 7 of a batch jumps to their blocks
and draws what a single process would have drawn for them.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

VALUES_PER_COUNT = 8
"""Philox gives four 64-bit words per count, two float32 uniforms each."""


def generator(seed: int, *purpose: int | str) -> np.random.Generator:
    """Return a generator that depends on the seed and on what the numbers are for, and on nothing else."""
    return np.random.Generator(np.random.Philox(key=_key(seed, *purpose)))


def uniform(seed: int, step: int, purpose: str, first: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return uniform numbers in [0, 1) for consecutive samples of a batch.

    Args:
        seed: of the run.
        step: optimizer step.
        purpose: name of what the numbers are for; different names give independent numbers.
        first: place in the whole batch of the first sample.
        shape: [samples, ...]; the numbers of a sample depend on its index, not on how many samples are requested.

    Returns:
        float32 of that shape.
    """
    count, each = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    blocks = -(-each // VALUES_PER_COUNT)
    source = np.random.Philox(key=_key(seed, step, purpose))
    source.advance(first * blocks)
    values = np.random.Generator(source).random(count * blocks * VALUES_PER_COUNT, dtype=np.float32)
    return values.reshape(count, -1)[:, :each].reshape(shape)


def normal(seed: int, step: int, purpose: str, first: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return standard normal numbers, arranged as those of `uniform`, by the Box-Muller transform.

    The usual ziggurat draws a varying count of uniforms per number and so cannot be jumped into.
    """
    pairs = uniform(seed, step, purpose, first, (shape[0], 2, *shape[1:]))
    radius = np.sqrt(-2 * np.log1p(-pairs[:, 0]))  # 1 - u is in (0, 1]
    values: NDArray[np.float32] = radius * np.cos(np.float32(2 * np.pi) * pairs[:, 1])
    return values


def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits `count` images."""
    return generator(seed, epoch, "order").permutation(count)


def derived_seed(seed: int, *purpose: int | str) -> int:
    """Return a 63-bit seed, for libraries that take one, that depends on the purpose."""
    return _key(seed, *purpose) >> 65


def _key(seed: int, *purpose: int | str) -> int:
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
