"""What the benchmark scripts share: their options, the file of figures, and a picture of lines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aeedge.benchmark.measure import benchmark
from aeedge.benchmark.pictures import Pixels, load_pictures
from aeedge.benchmark.protocol import QUICK, Effort
from aeedge.benchmark.tables import Table, facts, tables
from aeedge.training.data.idx import read_idx
from aeedge_runtime import Bundle
from aeedge_runtime.inference.processors import default_threads

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SCHEMA = 1


def options(description: str | None, name: str, bundle: str) -> argparse.ArgumentParser:
    """Return a parser with what every script takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--bundle", default=bundle, help="folder, .aeb file or name of a shipped one")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="files to measure with")
    parser.add_argument("--mnist", type=Path, help="an idx3-ubyte file to take the images from")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--quick", action="store_true", help="fewer, smaller, noisier; for a try")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="the picture goes beside it")
    return parser


def effort(quick: bool) -> Effort:
    """How much to measure."""
    return QUICK if quick else Effort()


def pictures(chosen: argparse.Namespace, bundle: str) -> list[Pixels]:
    """Return the pictures that the options name; none for the usual ones."""
    if chosen.mnist:
        return list(read_idx(chosen.mnist)[..., None])
    return load_pictures(chosen.images, Bundle.load(bundle).manifest.image.channels) if chosen.images else []


def save(path: Path, report: Mapping[str, Any]) -> None:
    """Write the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema": SCHEMA, **report}, indent=1) + "\n")
    print(f"written: {path}")


def show(parts: Sequence[Table]) -> None:
    """Print tables as plain text."""
    for table in parts:
        lines = [tuple(table.headers), *table.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(table.headers))]
        print(f"\n{table.title}")
        for line in lines:
            cells = zip(line, widths, range(len(widths)), strict=True)
            print("  ".join(f"{cell:{'<' if place < table.words else '>'}{width}}" for cell, width, place in cells))


def draw_lines(
    path: Path,
    series: Mapping[str, Sequence[tuple[float, float]]],
    labels: tuple[str, str],
    environment: Mapping[str, Any],
    *,
    limits: Mapping[str, float] | None = None,
) -> None:
    """Draw lines over logarithmic axes beside the figures.

    Args:
        path: of the figures; the picture has the suffix .png.
        series: name -> points.
        labels: of the axes.
        environment: for the caption.
        limits: name -> a horizontal line.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    for name, value in (limits or {}).items():
        axes.axhline(value, linestyle=":", color="0.3", label=name)
    axes.set(xscale="log", yscale="log", xlabel=labels[0], ylabel=labels[1])
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.supxlabel(", ".join(facts(environment)), fontsize=5, color="0.4")
    figure.savefig(path.with_suffix(".png"), dpi=150)
    print(f"written: {path.with_suffix('.png')}")


def progress(done: int, total: int, what: str) -> None:
    """Say which process is next."""
    print(f"{done + 1} of {total}  {what}", flush=True)


def goal(name: str, value: float, limit: float, unit: str, *, at_most: bool) -> dict[str, Any]:
    """Print a figure beside what it should be, and return both."""
    met = value <= limit if at_most else value >= limit
    sign = "<=" if at_most else ">="
    print(f"{'met ' if met else 'MISS'}  {name}: {value:.3g} {unit}, goal {sign} {limit:g}")
    return {"name": name, "value": round(value, 4), "unit": unit, "limit": limit, "at_most": at_most, "met": met}


__all__ = [
    "RESULTS",
    "ROOT",
    "benchmark",
    "draw_lines",
    "effort",
    "goal",
    "options",
    "pictures",
    "progress",
    "save",
    "show",
    "tables",
]
