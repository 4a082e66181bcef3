"""`aeedge score`: measures how unlike the training images each image is."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.batch.outputs import Job, distinct
from aeedge.cli.console import note, print_json, say, warn
from aeedge.cli.options.parameters import PATH, Number
from aeedge.cli.options.score import ScoreOptions
from aeedge.cli.options.selection import Selection, data_options
from aeedge.cli.options.shared import device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.cli.scoring import Scoring, map_path
from aeedge.figures import count, printable

if TYPE_CHECKING:
    from aeedge.applications.images import NamedImage
    from aeedge.applications.reference import Reference
    from aeedge_runtime.bundle.manifest import AnomalyFacts


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@data_options
@click.option("-o", "--output", metavar="FILE.csv", type=PATH, help="Write the CSV to a file instead of stdout.")
@click.option(
    "--threshold", metavar="T", type=Number(or_equal=True), help="Threshold to use.  [default: the one set at export]"
)
@click.option(
    "--reference",
    metavar="FOLDER",
    multiple=True,
    help="Good images, 40 or more: score each image by its most unusual place among these; repeatable.",
)
@click.option(
    "--false-positive-rate",
    metavar="RATE",
    type=Number(0, 1),
    help="With --reference: share of good images that may exceed the threshold.  [default: 0.01]",
)
@click.option(
    "--masks",
    metavar="DIR",
    type=PATH,
    help="With --reference: masks of the defects, to measure how well pixels match.",
)
@click.option("--heat-maps", metavar="DIR", type=PATH, help="Write an image of the differences for each input.")
@click.option("--normal", metavar="CLASS", help="Report how well scores separate CLASS from the others (AUROC).")
@device_option
@threads_option
@force_option
@json_option
def score(**values: Any) -> int:
    """Score how poorly the model in BUNDLE reproduces each image: the higher, the more unusual.

    The score is the mean squared error, with samples in 0..1; with --reference, the largest deviation of any place from
    good images. Prints CSV: name, class, score, and whether the score exceeds the threshold.
    """
    options = ScoreOptions(**values)
    selection = Selection(options)
    outlet = _checked_outlet(options, selection)

    from aeedge_runtime import Codec

    codec = Codec.load(options.bundle, device=options.device, threads=options.threads)
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "score")
    work = Scoring.of(codec, options, outlet)
    threshold, facts = work.threshold, work.facts
    rows = [_row(image, value, threshold) for image, value in work.run(selection)]
    if not rows and selection.failures and not options.as_json:
        return selection.exit_code  # none could be read, and each was reported
    summary = _summary(rows, threshold, facts, options.normal) | work.pixels()
    if options.as_json:
        print_json({"command": "score", "summary": summary, "results": rows, "failures": selection.failures})
    else:
        _print(rows, summary, options.output, outlet)
    return selection.exit_code


def _checked_outlet(options: ScoreOptions, selection: Selection) -> Outlet:
    """Return what writes the outputs, after a check that they can be written."""
    outlet = Outlet(selection.sources, force=options.force)
    if options.output:
        outlet.check(options.output)
    if folder := options.heat_maps:
        jobs = distinct([Job(source, map_path(folder, source.relative)) for source in selection.sources])
        for path in (job.output for job in jobs if job.output):
            outlet.check(path)
    return outlet


def _row(image: NamedImage, value: float, threshold: float | None) -> dict[str, Any]:
    anomalous = None if threshold is None else value > threshold
    return {"name": image.name, "label": image.label, "score": value, "anomalous": anomalous}


def _summary(
    rows: list[dict[str, Any]], threshold: float | None, facts: AnomalyFacts | Reference | None, normal: str | None
) -> dict[str, Any]:
    summary: dict[str, Any] = {"images": len(rows), "threshold": threshold}
    if threshold is not None:
        summary["anomalous"] = sum(row["anomalous"] for row in rows)
    if facts is not None:
        summary |= {"false_positive_rate": facts.false_positive_rate, "calibrated_on": facts.images}
    if normal is not None:
        summary |= {"normal": normal, **_auroc(rows, normal)}
        if threshold is not None:
            summary |= _false_positives([row for row in rows if row["label"] == normal])
    return summary


def _false_positives(rows: list[dict[str, Any]]) -> dict[str, Any]:
    from aeedge.applications.detection import rate_interval

    hits = sum(row["anomalous"] for row in rows)
    return {"normal_images": len(rows), "false_positives": hits, "rate_bounds": rate_interval(hits, len(rows))}


def _auroc(rows: list[dict[str, Any]], normal: str) -> dict[str, Any]:
    import numpy as np

    from aeedge.applications.anomaly import auroc
    from aeedge.applications.detection import auroc_interval

    inside = np.array([row["score"] for row in rows if row["label"] == normal])
    outside = np.array([row["score"] for row in rows if row["label"] != normal])
    if not len(inside) or not len(outside):
        found = ", ".join(sorted({row["label"] for row in rows})) or "none"
        raise click.UsageError(
            f"--normal {normal}: found the classes {found}, expected {normal} and at least one other"
        )
    area = auroc(inside, outside)
    return {"auroc": area, "auroc_bounds": auroc_interval(area, len(inside), len(outside))}


def _print(rows: list[dict[str, Any]], summary: dict[str, Any], output: Path | None, outlet: Outlet) -> None:
    text = _csv(rows)
    if output:
        outlet.write(output, text.encode())
        say(f"{printable(output)}: {count(len(rows), 'score')}")
    else:
        click.echo(text, nl=False)
    if summary["threshold"] is None:
        note("no threshold: the bundle has none; set one with --threshold")
    else:
        rate = summary.get("false_positive_rate")
        source = f"calibrated for a false-positive rate of {rate:.3g}" if rate else "as given"
        anomalous = f"{summary['anomalous']:,} of {count(len(rows), 'image')}"
        note(f"{anomalous} above the threshold of {summary['threshold']:.4g}, {source}")
    if "auroc" in summary:
        low, high = summary["auroc_bounds"]
        area = f"AUROC {summary['auroc']:.4f}, {low:.2f} to {high:.2f} (95 %)"
        note(f"class {summary['normal']} against the others: {area}")
        if low <= 0.5:
            warn("the scores do not separate this class from the others better than chance")
    if "rate_bounds" in summary:
        low, high = summary["rate_bounds"]
        found = f"{summary['false_positives']} of {count(summary['normal_images'], 'image')}"
        note(f"class {summary['normal']} above the threshold: {found}, a rate of {low:.1%} to {high:.1%} (95 %)")
    if "pixel_auroc" in summary:
        pixels = f"pixel AUROC {summary['pixel_auroc']:.4f}, best F1 {summary['best_f1']:.4f}"
        note(f"{count(summary['masks'], 'mask')}: {pixels} at {summary['best_f1_threshold']:.4g}")


def _csv(rows: list[dict[str, Any]]) -> str:
    words = {None: "", True: "yes", False: "no"}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("name", "class", "score", "anomalous"))
    for row in rows:
        writer.writerow(
            (printable(row["name"]), printable(row["label"] or ""), f"{row['score']:.8g}", words[row["anomalous"]])
        )
    return file.getvalue()
