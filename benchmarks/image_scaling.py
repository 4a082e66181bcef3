"""Cost of a pixel and memory against the size of the image, from 32x32 to 24 megapixels.

python benchmarks/image_scaling.py [--quick]            the photo bundle, one image, from a uint8 array
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from record import benchmark, draw_lines, effort, goal, options, pictures, progress, save, show, tables

from aeedge.benchmark.case import Grid

SIZES = ((32, 32), (64, 64), (128, 128), (256, 256), (768, 512), (1224, 816), (2448, 1632), (6000, 4000))
MEGAPIXEL = (1224, 816)
LARGEST = (6000, 4000)
MOST_GROWTH_PERCENT = 15


def pixel_ns(result: dict[str, Any]) -> float:
    """Median time of a pixel."""
    config = result["config"]
    return float(1e6 * result["total"]["p50_ms"] / (config["width"] * config["height"]))


def goals(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Growth of the cost of a pixel from 1 to 24 megapixels."""
    found = []
    for operation in ("compress", "decompress"):
        costs = {
            (result["config"]["width"], result["config"]["height"]): pixel_ns(result)
            for result in results
            if result["config"]["operation"] == operation
        }
        if LARGEST in costs:
            growth = 100 * (costs[LARGEST] / costs[MEGAPIXEL] - 1)
            name = f"{operation}: a pixel of 24 megapixels against one of 1 megapixel"
            found.append(goal(name, growth, MOST_GROWTH_PERCENT, "% more", at_most=True))
    return found


def main() -> None:
    """Measure, print, write JSON and picture."""
    parser = options(__doc__, "image_scaling", "photo")
    parser.add_argument("--quality", type=int, default=50)
    chosen = parser.parse_args()
    grid = Grid(
        operations=("compress", "decompress"),
        devices=("cpu",),
        threads=(chosen.threads,),
        batches=(1,),
        sizes=SIZES[:-2:2] if chosen.quick else SIZES,
        quality=chosen.quality,
        input="array",
    )
    report = benchmark(
        chosen.bundle,
        grid,
        pictures=pictures(chosen, chosen.bundle),
        effort=effort(chosen.quick),
        command=sys.argv,
        progress=progress,
    )
    show(tables(report.results))
    print()
    series: dict[str, list[tuple[float, float]]] = {}
    for result in report.results:
        pixels = result["config"]["width"] * result["config"]["height"]
        series.setdefault(result["config"]["operation"], []).append((pixels, pixel_ns(result)))
    save(chosen.out, {**report.as_dict(), "goals": goals(report.results)})
    draw_lines(chosen.out, series, ("pixels of the image", "ns per pixel (median)"), report.environment)


if __name__ == "__main__":
    main()
