"""Times calls of the tree that is on the path; `guard.py` talks to it.

It prints the names of its calls as a JSON list, then, for every name that it reads, the milliseconds of one call.
Arguments: a photo bundle, threads, and optionally a bundle for 28x28 images. Only what every revision has is used.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from aeedge_runtime import Codec

TURN_SECONDS = 0.15
"""Seconds of one turn, about: of a slow call, one call."""

Call = Callable[[], object]


def picture(height: int, width: int) -> np.ndarray:
    """Return a smooth picture with noise, uint8 [H, W, 3]."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (height // 32, width // 32, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return np.clip(np.rint(smooth + generator.normal(0, 4, smooth.shape)), 0, 255).astype(np.uint8)


def calls_of(codec: Codec, image: np.ndarray, name: str) -> dict[str, Call]:
    """Return the calls of a codec on an image."""
    size = image.shape[0], image.shape[1]
    stream, latent = codec.compress(image, 50), codec.encode(image)
    return {
        f"{name} encode": lambda: codec.encode(image),
        f"{name} decode": lambda: codec.decode(latent, size),
        f"{name} compress": lambda: codec.compress(image, 50),
        f"{name} decompress": lambda: codec.decompress(stream),
    }


def main() -> None:
    """Answer on standard output until standard input ends."""
    photo, threads, *dense = sys.argv[1:]
    calls = calls_of(Codec.load(photo, threads=int(threads)), picture(512, 768), "photo 768x512")
    if dense:
        small = np.asarray(Image.fromarray(picture(32, 32)).convert("L"))[:28, :28, None]
        calls |= calls_of(Codec.load(dense[0], threads=int(threads)), small, "dense 28x28")
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(TURN_SECONDS / (time.perf_counter() - start)))
    print(json.dumps(list(calls)), flush=True)
    for line in sys.stdin:
        name = line.strip()
        call, count = calls[name], repeats[name]
        start = time.perf_counter()
        for _ in range(count):
            call()
        print(json.dumps((time.perf_counter() - start) * 1e3 / count), flush=True)


if __name__ == "__main__":
    main()
