"""The three decoders of a bundle (full, lite, preview): time, taking turns with WebP, and PSNR.

python benchmarks/decoders.py --images FILE... [--bundle BUNDLE] [--threads N] [--quick]

Images are cut to 768x512 or less from the center. Time is that of `decompress`, or of `preview`, of a stream of quality
50; WebP method 4 is at the lowest quality that reaches the PSNR of the full decoder. That of the preview is against the
mean of every 8x8 pixels.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from record import goal, options, pictures, save

from aeedge.classic import find_classic, lowest_quality
from aeedge.machine import environment
from aeedge_runtime import Codec
from aeedge_runtime.coding.preview import reduced
from aeedge_runtime.images.psnr import psnr_db

QUALITY = 50
ROWS, COLUMNS = 512, 768
TURNS, QUICK_TURNS = 15, 4
TIMED = 6
"""Images that are timed; PSNR is over all."""


def times_of(calls: Sequence[Callable[[], object]], turns: int) -> list[float]:
    """Return the median milliseconds of each call, which take turns."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(turns):
        for place in range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls))):
            start = time.perf_counter()
            calls[place]()
            times[place].append(1e3 * (time.perf_counter() - start))
    return [statistics.median(values) for values in times]


def center(pixels: np.ndarray) -> np.ndarray:
    """Return the middle of an image, uint8 [H, W, C], at most 512 rows and 768 columns."""
    top, left = (max(0, (have - want) // 2) for have, want in zip(pixels.shape[:2], (ROWS, COLUMNS), strict=True))
    return np.ascontiguousarray(pixels[top : top + ROWS, left : left + COLUMNS])


def main() -> None:
    """Measure, print, save; see the module."""
    chosen = options(__doc__, "decoders", "photo").parse_args()
    images = [center(pixels) for pixels in pictures(chosen, chosen.bundle)]
    if not images:
        raise SystemExit("name photographs with --images")
    full = Codec.load(chosen.bundle, threads=chosen.threads)
    lite = Codec.load(chosen.bundle, threads=chosen.threads, decoder="lite")
    webp, rows = find_classic("webp4"), []
    for number, image in enumerate(images):
        stream = full.compress(image, QUALITY, stored_tiles=False)
        psnr = {
            "full": psnr_db(image, full.decompress(stream)),
            "lite": psnr_db(image, lite.decompress(stream)),
            "preview": psnr_db(reduced(image), full.preview(stream)),
        }
        row = {"size": [image.shape[1], image.shape[0]], "bytes": len(stream), "psnr_db": psnr}
        if number < TIMED:
            file = webp.encode(image, lowest_quality(webp, image[None], psnr["full"]))
            calls = (
                lambda stream=stream: full.decompress(stream),
                lambda stream=stream: lite.decompress(stream),
                lambda stream=stream: full.preview(stream),
                lambda file=file: webp.decode(file, 3),
            )
            found = times_of(calls, QUICK_TURNS if chosen.quick else TURNS)
            row["ms"] = dict(zip(("full", "lite", "preview", "webp"), found, strict=True))
        rows.append(row)
    timed = [row["ms"] for row in rows if "ms" in row]
    mean = {key: statistics.mean(row["psnr_db"][key] for row in rows) for key in ("full", "lite", "preview")}
    ms = {key: statistics.median(row[key] for row in timed) for key in timed[0]}
    print(f"{len(rows)} images, {len(timed)} timed, {chosen.threads} threads")
    for key, value in ms.items():
        psnr_text = f"{mean[key]:6.2f} dB" if key in mean else ""
        print(f"  {key:8}{value:8.1f} ms  {psnr_text}")
    ratios = [(row["full"] / row["lite"], row["full"] / row["preview"], row["lite"] / row["webp"]) for row in timed]
    faster, preview, slower = (statistics.median(column) for column in zip(*ratios, strict=True))
    goals = [
        goal("lite is faster than full", faster, 1.7, "times", at_most=False),
        goal("lite loses at quality 50", mean["full"] - mean["lite"], 1.0, "dB", at_most=True),
        goal("preview is faster than full", preview, 5.0, "times", at_most=False),
        goal("lite takes longer than WebP", slower, 6.0, "times", at_most=True),
    ]
    facts = {"bundle": chosen.bundle, "threads": chosen.threads, "quality": QUALITY, "psnr_db": mean, "ms": ms}
    command = [Path(word).name for word in sys.argv]
    save(chosen.out, {"environment": environment(command), **facts, "goals": goals, "images": rows})


if __name__ == "__main__":
    main()
