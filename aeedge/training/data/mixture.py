"""Several sets of images as one, each with a share of the samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageSet(Protocol):
    """Images by index."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` as uint8 [H, W, C]."""

    def label(self, index: int) -> int | None:
        """Return its class, or None where classes are unknown."""


@dataclass(frozen=True)
class Mixture:
    """Images of several sets, one set after the other.

    An epoch that visits every index once takes each set's share from it: a set is repeated as often as that needs, and
    every image of every set comes at least once.

    Attributes:
        sets: what is mixed; none is empty.
        counts: indices that belong to each set.
    """

    sets: Sequence[ImageSet]
    counts: Sequence[int]

    @classmethod
    def of(cls, sets: Sequence[ImageSet], shares: Sequence[float]) -> "Mixture":
        """Mix sets in the given shares, which are above 0 and sum to 1."""
        total = max(len(images) / share for images, share in zip(sets, shares, strict=True))
        return cls(sets, [max(len(images), round(share * total)) for images, share in zip(sets, shares, strict=True)])

    def __len__(self) -> int:
        return sum(self.counts)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` as uint8 [H, W, C]."""
        images, place = self._found(index)
        return images.image(place)

    def label(self, index: int) -> int | None:
        """Return None: classes of one set are not those of another."""
        return None

    def _found(self, index: int) -> tuple[ImageSet, int]:
        ends = list(accumulate(self.counts))
        number = int(np.searchsorted(ends, index, side="right"))
        within = index - (ends[number] - self.counts[number])
        return self.sets[number], within % len(self.sets[number])
