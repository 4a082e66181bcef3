"""Damage to the network's input, for training and measuring denoisers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeedge.configuration import nearest
from aeedge.training import randomness
from aeedge_runtime.errors import ArgumentError

KINDS = {
    "gaussian": "standard deviation, in units of the pixel range",
    "salt-pepper": "share of pixels set to black or white",
    "mask": "share of pixels set to black",
}
"""Kind of damage -> what its strength means."""


@dataclass(frozen=True)
class Corruption:
    """One kind of damage and its strength; written "gaussian:0.3", "salt-pepper:0.1" or "mask:0.5"."""

    kind: str
    strength: float

    @classmethod
    def parse(cls, text: str) -> "Corruption":
        """Read the written form.

        Raises:
            ArgumentError: an unknown kind, or a strength that is not a number in range.
        """
        kind, _, strength = text.partition(":")
        if kind not in KINDS:
            raise ArgumentError(f'corrupt: found "{kind}"{nearest(kind, KINDS)}')
        try:
            value = float(strength)
        except ValueError as error:
            raise ArgumentError(
                f'corrupt: found the strength "{strength}", expected a number: {KINDS[kind]}'
            ) from error
        if not 0 < value <= 1:
            raise ArgumentError(f"corrupt: found the strength {value}, expected above 0 and at most 1: {KINDS[kind]}")
        return cls(kind, value)

    def apply(self, images: NDArray[np.float32], seed: int, step: int, first: int) -> NDArray[np.float32]:
        """Return damaged copies of images [N, H, W, C] float32 in 0..1; a pure function of its arguments.

        Args:
            images: samples `first` .. `first + N - 1` of the batch of a step.
            seed: of the run.
            step: optimizer step, or -1 for validation.
            first: place in the whole batch of the first image.
        """
        if self.kind == "gaussian":
            noise = randomness.normal(seed, step, "corrupt", first, images.shape)
            return np.clip(images + np.float32(self.strength) * noise, 0, 1)
        draw = randomness.uniform(seed, step, "corrupt", first, images.shape[:3])[..., None]
        if self.kind == "mask":
            return np.where(draw < self.strength, np.float32(0), images)
        flipped = np.where(draw < self.strength / 2, np.float32(0), np.float32(1))
        return np.where(draw < self.strength, flipped, images)
