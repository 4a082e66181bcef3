"""`aeedge score`: how unlike the training images each image is."""

import csv
import io
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import note, print_json, say
from aeedge.cli.options import device_option, force_option, json_option, threads_option
from aeedge.cli.outlet import Outlet
from aeedge.cli.outputs import Job, distinct
from aeedge.cli.parameters import Number
from aeedge.cli.selection import Selection, data_options
from aeedge.figures import count, printable
from aeedge.sources import STDIN

if TYPE_CHECKING:
    from aeedge.applications.anomaly import Scored
    from aeedge_runtime.bundle.manifest import AnomalyFacts

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle")
@click.argument("images", metavar="[IMG]...", nargs=-1)
@data_options
@click.option("-o", "--output", metavar="FILE.csv", type=PATH, help="Instead of standard output.")
@click.option("--threshold", type=Number(min=0), help="Instead of the one calibrated at export.")
@click.option("--heat-maps", metavar="DIR", type=PATH, help="Write a picture of the differences for each image.")
@click.option("--normal", metavar="CLASS", help="Tell how well scores separate this class from the others (AUROC).")
@device_option
@threads_option
@force_option
@json_option
def score(bundle: str, images: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Give every image a score: the mean squared error, samples in 0..1, of what the model in BUNDLE makes of it.

    Prints CSV: name, class, score, and whether the score lies above the threshold.
    """
    output, maps = options["output"], options["heat_maps"]
    if as_json and output:
        raise click.UsageError("found --json and -o, expected one of them")
    if output == Path(STDIN):
        raise click.UsageError("found -o -, expected a file; without -o the scores go to stdout")
    selection = Selection(images, options)
    outlet = Outlet(selection.sources, force=options["force"])
    if output:
        outlet.check(output)
    if maps:
        jobs = distinct([Job(source, _map_place(maps, source.relative)) for source in selection.sources])
        for place in (job.output for job in jobs if job.output):
            outlet.check(place)

    from aeedge.applications.anomaly import score_images
    from aeedge_runtime import Codec

    codec = Codec.load(bundle, device=options["device"], threads=options["threads"])
    for half in ("encoder", "decoder"):
        codec.bundle.require(half, "score")
    facts = codec.bundle.manifest.anomaly
    threshold = options["threshold"] if options["threshold"] is not None else facts.threshold if facts else None
    rows = []
    for scored in score_images(codec, selection.images(codec.bundle.manifest.image.channels)):
        rows.append(_row(scored, threshold))
        if maps:
            _write_map(outlet, maps, scored)
    if not rows and selection.failures and not as_json:
        return selection.exit_code  # none could be read, and each was named
    summary = _summary(rows, threshold, facts if options["threshold"] is None else None, options["normal"])
    if as_json:
        print_json({"command": "score", "summary": summary, "results": rows, "failures": selection.failures})
    else:
        _print(rows, summary, output, outlet)
    return selection.exit_code


def _row(scored: "Scored", threshold: float | None) -> dict[str, Any]:
    anomalous = None if threshold is None else scored.score > threshold
    return {"name": scored.image.name, "label": scored.image.label, "score": scored.score, "anomalous": anomalous}


def _write_map(outlet: Outlet, folder: Path, scored: "Scored") -> None:
    from aeedge.applications.anomaly import heat_map
    from aeedge_runtime import Picture
    from aeedge_runtime.images.save import picture_bytes

    data, _ = picture_bytes(Picture(heat_map(scored.image.pixels, scored.restored)), ".png")
    outlet.write(_map_place(folder, PurePosixPath(scored.image.name)), data)


def _map_place(folder: Path, name: PurePath) -> Path:
    return folder / name.with_name(f"{name.name}.png")


def _summary(
    rows: list[dict[str, Any]], threshold: float | None, facts: "AnomalyFacts | None", normal: str | None
) -> dict[str, Any]:
    summary: dict[str, Any] = {"images": len(rows), "threshold": threshold}
    if threshold is not None:
        summary["anomalous"] = sum(row["anomalous"] for row in rows)
    if facts is not None:
        summary |= {"false_positive_rate": facts.false_positive_rate, "calibrated_on": facts.images}
    if normal is not None:
        summary |= {"normal": normal, "auroc": _auroc(rows, normal)}
    return summary


def _auroc(rows: list[dict[str, Any]], normal: str) -> float:
    import numpy as np

    from aeedge.applications.anomaly import auroc

    inside = np.array([row["score"] for row in rows if row["label"] == normal])
    outside = np.array([row["score"] for row in rows if row["label"] != normal])
    if not len(inside) or not len(outside):
        found = ", ".join(sorted({row["label"] for row in rows})) or "none"
        raise click.UsageError(f"--normal {normal}: found the classes {found}, expected it and another one")
    return auroc(inside, outside)


def _print(rows: list[dict[str, Any]], summary: dict[str, Any], output: Path | None, outlet: Outlet) -> None:
    text = _csv(rows)
    if output:
        outlet.write(output, text.encode())
        say(f"{printable(output)}: {count(len(rows), 'score')}")
    else:
        click.echo(text, nl=False)
    if summary["threshold"] is None:
        note("no threshold: the bundle was exported without one; give one with --threshold")
    else:
        rate = summary.get("false_positive_rate")
        source = f"calibrated for a false-positive rate of {rate:.3g}" if rate else "as given"
        anomalous = f"{summary['anomalous']:,} of {count(len(rows), 'image')}"
        note(f"{anomalous} above the threshold of {summary['threshold']:.4g}, {source}")
    if "auroc" in summary:
        note(f"class {summary['normal']} against the others: AUROC {summary['auroc']:.4f}")


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
