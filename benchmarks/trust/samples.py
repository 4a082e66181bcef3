"""Bundles and valid streams that the trials damage, forge and replay: all families, one kilobyte or so each.

Some have stored tiles, some of or all of their tiles, and a bound with a residual.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge_runtime import AeedgeWarning, Codec, Picture

BUNDLES = Path(__file__).parents[2] / "tests" / "fixtures" / "bundles"
NAMES = ("tiny-dense", "tiny-conv", "tiny-vae", "tiny-hyper", "tiny-groups")

# The shortest block that is called EXIF: a TIFF header and an empty directory.
EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
ICC = bytes(16) + b"GRAY" + bytes(200)


@cache
def codec(name: str) -> Codec:
    """Return a codec of one thread for a tiny bundle."""
    return Codec.load(BUNDLES / name, threads=1)


def picture(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Waves with a little noise, uint8 [height, width, channels]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 9 + shift) + np.cos(columns / 7 + seed + shift) for shift in range(channels)]
    planes = 127 + 50 * np.stack(waves, axis=2) + generator.normal(0, 2, (height, width, channels))
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def drawing(channels: int) -> NDArray[np.uint8]:
    """Draw marks on white with a photograph in a corner, uint8 [128, 192, channels]."""
    marks = np.random.default_rng(0).random((32, 48)) < 0.1
    found = np.where(marks.repeat(4, 0).repeat(4, 1)[..., None], 0, 255).astype(np.uint8).repeat(channels, 2)
    found[:64, :64] = picture(64, 64, channels)
    return found


def golden_streams(name: str) -> dict[str, bytes]:
    """Return the golden streams of a tiny bundle."""
    found = sorted((BUNDLES / name / "golden").glob("*.aee"))
    return {f"{name}/{path.stem}": path.read_bytes() for path in found}


def new_streams(name: str) -> dict[str, bytes]:
    """More streams of a tiny bundle: a pack with names, one with every section, one of some hundred bytes."""
    model = codec(name)
    channels = model.bundle.manifest.image.channels
    plain = picture(20, 30, channels)
    rich = Picture(plain, alpha=picture(20, 30, 1, 3)[..., 0], icc=ICC, exif=EXIF, gray=channels == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeedgeWarning)
        return {
            f"{name}/pack": model.compress_batch(
                [picture(9, 7, channels, seed) for seed in range(5)], 60, names=[f"{seed}.png" for seed in range(5)]
            ),
            f"{name}/sections": model.compress(rich, 40, stored_tiles=False),
            f"{name}/larger": model.compress(picture(70, 90, channels), 70, stored_tiles=False),
            f"{name}/tiles": model.compress(drawing(channels), 50),
            f"{name}/all-tiles": model.compress(rich, max_error=0),
            f"{name}/bound": model.compress(picture(40, 50, channels), max_error=12),
        }


@cache
def streams() -> dict[str, bytes]:
    """All valid streams by name; the part before the slash is the bundle."""
    found: dict[str, bytes] = {}
    for name in NAMES:
        found |= golden_streams(name) | new_streams(name)
    return found


def bundle_of(stream: str) -> str:
    """Return the bundle of a stream's name."""
    return stream.partition("/")[0]
