"""Check that a higher quality takes more bytes and does not give a worse image."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aeedge.models import Autoencoder
from aeedge_export.latents import crops
from aeedge_runtime.codec import Codec
from aeedge_runtime.errors import AeedgeWarning
from aeedge_runtime.images.psnr import psnr_db

RUNGS = tuple(range(1, 101, 3))
"""Qualities that are coded for real: the ends and every third. Steps and tables between them are interpolated."""

IMAGES, SIDE = 4, 256
"""Images, and the side of their crops, on which qualities are compared."""

PSNR_NOISE_DB = 0.02
"""Mean PSNR may fall by so much from one rung to the next."""


@dataclass(frozen=True)
class Rung:
    """What some images cost and gave at a quality, means over the images."""

    quality: int
    stream_bytes: float
    psnr_db: float


def measure_ladder(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> list[Rung]:
    """Compress and decompress images, uint8 `[H, W, C]`, at every rung."""
    rungs = []
    for quality in RUNGS:
        streams = [codec.compress(image, quality, stored_tiles=False) for image in images]
        decibels = [psnr_db(image, codec.decompress(stream)) for image, stream in zip(images, streams, strict=True)]
        rungs.append(Rung(quality, float(np.mean([len(stream) for stream in streams])), float(np.mean(decibels))))
    return rungs


def ladder_faults(rungs: Sequence[Rung]) -> list[str]:
    """Return in words where bytes do not rise, or PSNR falls, from a rung to the next."""
    faults = []
    for lower, upper in pairwise(rungs):
        step = f"quality {upper.quality} {{}} than quality {lower.quality} ({{}} against {{}})"
        if upper.stream_bytes <= lower.stream_bytes:
            faults.append(step.format("takes no more bytes", f"{upper.stream_bytes:.1f}", f"{lower.stream_bytes:.1f}"))
        if upper.psnr_db < lower.psnr_db - PSNR_NOISE_DB:
            faults.append(step.format("is worse", f"{upper.psnr_db:.2f} dB", f"{lower.psnr_db:.2f}"))
    return faults


def ladder_images(model: Autoencoder, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return crops of a few images to compare qualities on."""
    return crops(images[:IMAGES], model, IMAGES * SIDE**2, SIDE)


def check_ladder(codec: Codec, images: Sequence[NDArray[np.uint8]]) -> str:
    """Measure the ladder, warn of the first fault, and describe the result in one line.

    The bundle is not refused: every one of its streams is valid, only a quality is not worth its name. The tables of a
    factorized prior show their cost directly, so only a hyperprior needs this.
    """
    rungs = measure_ladder(codec, images)
    faults = ladder_faults(rungs)
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        message = f"{faults[0]}{more}, on {len(images)} images; was the model trained for all qualities?"
        warnings.warn(message, AeedgeWarning, stacklevel=3)
    ends = f"{rungs[0].psnr_db:.2f} to {rungs[-1].psnr_db:.2f} dB"
    return f"{ends} over {len(rungs)} qualities, {'NOT rising' if faults else 'rising'} in bytes and PSNR"
