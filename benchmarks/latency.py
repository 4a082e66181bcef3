"""Latency of the photo bundle at 768x512 and 0.3 bits per pixel, stage by stage, beside classic codecs.

python benchmarks/latency.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from record import benchmark, effort, goal, options, pictures, progress, save, show, tables

from aeedge.benchmark.case import CLASSICS, OPERATIONS, Grid
from aeedge.benchmark.chart import draw_chart
from aeedge.benchmark.inputs import usual_pictures
from aeedge.benchmark.pictures import fit
from aeedge.benchmark.tables import facts
from aeedge_runtime import Codec

RATE_BPP = 0.3

NETWORKS = ("encoder_graph", "decoder_graph", "hyper_encoder_graph", "prior_graph")


def quality_for_rate(bundle: str, images: Sequence[Any], size: tuple[int, int], rate_bpp: float) -> int:
    """Return the highest quality at which the first image takes at most a number of bits per pixel."""
    codec = Codec.load(bundle)
    image = fit((images or usual_pictures(codec)[0])[0], *size)

    def too_large(quality: int) -> bool:
        return 8 * len(codec.compress(image, quality)) > rate_bpp * size[0] * size[1]

    return 1 + bisect_left(range(2, 101), True, key=too_large)


def outside_ms(result: dict[str, Any]) -> float:
    """Median time outside the networks and outside reading the input image; medians of stages added."""
    inside = (*NETWORKS, "load_image")
    return sum(stage["p50_ms"] for name, stage in result["stages"].items() if name not in inside)


def goals(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the project aims at, and what was found."""
    found: dict[tuple[str, str], dict[str, Any]] = {
        (result["config"]["engine"], result["config"]["operation"]): result for result in results
    }
    checked = []
    for operation in ("compress", "decompress"):
        name = f"{operation}: outside the networks, image reading excluded"
        checked.append(goal(name, outside_ms(found["aeedge", operation]), 12, "ms", at_most=True))
    return checked


def main() -> None:
    """Measure, print, write JSON and picture."""
    parser = options(__doc__, "latency", "photo")
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--quality", type=int, help=f"default: what gives {RATE_BPP} bits per pixel")
    parser.add_argument("--against", default=",".join(CLASSICS), help="classic codecs, or an empty word for none")
    chosen: argparse.Namespace = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    images = pictures(chosen, chosen.bundle)
    quality = chosen.quality or quality_for_rate(chosen.bundle, images, (width, height), RATE_BPP)
    classics = tuple(chosen.against.split(",")) if chosen.against else ()
    grid = Grid(
        operations=OPERATIONS,
        devices=("cpu",),
        threads=(chosen.threads,),
        batches=(1,),
        sizes=((width, height),),
        quality=quality,
        input="jpeg",
        against=classics,
    )
    report = benchmark(
        chosen.bundle,
        grid,
        pictures=images,
        effort=effort(chosen.quick),
        command=sys.argv,
        progress=progress,
    )
    show(tables(report.results))
    print()
    content = {**report.as_dict(), "goals": goals(report.results)}
    save(chosen.out, content)
    chart = draw_chart(report.results, ", ".join(facts(report.environment)), ".png")
    chosen.out.with_suffix(".png").write_bytes(chart)
    print(f"written: {chosen.out.with_suffix('.png')}")


if __name__ == "__main__":
    main()
