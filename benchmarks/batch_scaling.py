"""Images a second against the number of images in one call, from a uint8 array to one stream and back.

python benchmarks/batch_scaling.py [--quick]                        a tiny linear model of the tests
python benchmarks/batch_scaling.py --bundle DIGITS --mnist FILE     10,000 digits; FILE as in data/MNIST/raw
"""

from __future__ import annotations

import sys

from record import ROOT, benchmark, draw_lines, effort, goal, options, pictures, progress, save, show, tables

from aeedge.benchmark.case import Grid

BATCHES = (1, 4, 16, 64, 256, 1024, 4096, 10_000)
GOAL_BATCH = 10_000
GOAL_IMAGES_PER_S = 40_000


def main() -> None:
    """Measure, print, write JSON and picture."""
    parser = options(__doc__, "batch_scaling", str(ROOT / "tests/fixtures/bundles/tiny-dense"))
    parser.add_argument("--size", default="28x28")
    parser.add_argument("--quality", type=int, default=50)
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    grid = Grid(
        operations=("compress", "decompress"),
        devices=("cpu",),
        threads=(chosen.threads,),
        batches=BATCHES[::3] if chosen.quick else BATCHES,
        sizes=((width, height),),
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
    show(tables(report.results)[:2])
    print()
    series: dict[str, list[tuple[float, float]]] = {}
    goals = []
    for result in report.results:
        config, per_s = result["config"], 1e3 * result["config"]["batch"] / result["total"]["p50_ms"]
        series.setdefault(config["operation"], []).append((config["batch"], per_s))
        if config["batch"] == GOAL_BATCH and config["operation"] == "compress":
            goals.append(goal("10,000 images to one stream", per_s, GOAL_IMAGES_PER_S, "images/s", at_most=False))
    save(chosen.out, {**report.as_dict(), "goals": goals})
    labels = (f"images of {chosen.size} in one call", "images a second (median)")
    draw_lines(chosen.out, series, labels, report.environment, limits={"goal": GOAL_IMAGES_PER_S})


if __name__ == "__main__":
    main()
