"""Calibrates the anomaly threshold of a bundle on normal images that the model was not trained on.

The threshold is conformal ("Inductive confidence machines for regression", ECML 2002): with n normal scores, the one of
rank ceil((n + 1) (1 - rate)) is exceeded by another normal image with a probability of at most `rate`.
"""

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aeedge.applications.anomaly import score_images
from aeedge.applications.images import NamedImage
from aeedge_runtime import ArgumentError, Codec
from aeedge_runtime.bundle.manifest import AnomalyFacts

DEFAULT_RATE = 0.01
"""False-positive rate of a threshold unless another is requested."""

FEWEST_IMAGES = 20
"""Normal images that a threshold needs: with them its rate is 1 in 21 at best."""


class Images(Protocol):
    """Images of a known number, uint8 [H, W, C]; they may be opened one by one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[NDArray[np.uint8]]: ...


def calibrate(codec: Codec, images: Images, rate: float = DEFAULT_RATE) -> AnomalyFacts | None:
    """Return the threshold for a false-positive rate, or None where there are too few images for any.

    Args:
        codec: the model.
        images: normal ones that it was not trained on, whole as `aeedge score` takes them, uint8 [H, W, C].
        rate: share of normal images that may score above the threshold; raised to one in their number plus one, the
            smallest share that they can show.

    Raises:
        ArgumentError: a rate outside 0 to 1.
    """
    if not 0 < rate < 1:
        raise ArgumentError(f"false-positive rate: found {rate}, expected a share between 0 and 1")
    if len(images) < FEWEST_IMAGES:
        return None
    named = (NamedImage("", pixels, "") for pixels in images)
    scores = np.array([scored.score for scored in score_images(codec, named)])
    reachable = max(rate, 1 / (len(scores) + 1))
    return AnomalyFacts("mse", conformal_threshold(scores, reachable), reachable, len(scores))


def conformal_threshold(scores: NDArray[np.float64], rate: float) -> float:
    """Return the score that another normal image exceeds with at most the probability `rate`, at least 1 / (n + 1).

    Raises:
        ArgumentError: the scores are too few for the rate.
    """
    rank = math.ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    if rank > len(scores):
        raise ArgumentError(f"found {len(scores)} scores, expected at least {math.ceil(1 / rate) - 1} for {rate:.3g}")
    return float(np.sort(scores)[rank - 1])
