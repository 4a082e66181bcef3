"""Formats a report as tables for the terminal, for Markdown, and as one long CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aeedge.benchmark.case import Case
from aeedge.benchmark.regression import Change
from aeedge.figures import figure, table

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        title: what it shows.
        headers: one per column; those of `words` columns are aligned left, the others right.
        rows: as many cells as headers each.
        words: number of first columns that hold words.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int


def tables(results: Sequence[Result]) -> list[Table]:
    """Return the totals, the costs of starting, and the stages."""
    return [_totals(results), _costs(results), _stages(results)]


def _totals(results: Sequence[Result]) -> Table:
    headers = ("operation", "images", "on", "p50 ms", "p90 ms", "p95 ms", "noise", "images/s", "Mpixel/s", "bpp", "dB")
    rows = []
    for result in results:
        total = result["total"]
        rows.append(
            (
                *_names(result),
                *(number(total[f"p{mark}_ms"]) for mark in (50, 90, 95)),
                _noise(total["noise_percent"]),
                number(result["images_per_s"]),
                number(result["megapixels_per_s"]),
                number(result["bits_per_pixel"]),
                number(result["psnr_db"]),
            )
        )
    return Table("Time of a call", headers, rows, 3)


def _costs(results: Sequence[Result]) -> Table:
    headers = (
        "operation",
        "images",
        "on",
        "import ms",
        "load ms",
        "first ms",
        "peak MB",
        "work MB",
        "images/J",
        "runs on",
    )
    keys = ("import_ms", "load_ms", "first_run_ms", "peak_memory_mb", "work_memory_mb", "images_per_joule")
    rows = []
    for result in results:
        providers = ", ".join(dict.fromkeys(result["providers"].values())).replace("ExecutionProvider", "")
        rows.append((*_names(result), *(number(result[key]) for key in keys), providers))
    return Table("Start, memory, energy", headers, rows, 3)


def _stages(results: Sequence[Result]) -> Table:
    headers = ("operation", "images", "stage", "mean ms", "share", "p50 ms", "p95 ms", "noise")
    rows = []
    for result in results:
        operation, images, _ = _names(result)
        for name, stage in result["stages"].items():
            figures = (number(stage["p50_ms"]), number(stage["p95_ms"]), _noise(stage["noise_percent"]))
            rows.append((operation, images, words(name), number(stage["mean_ms"]), _share(stage), *figures))
            operation = images = ""
    return Table("Stages; their means add up to the mean of a call", headers, rows, 3)


def comparison_table(changes: Sequence[Change]) -> Table:
    """Return what changed since an earlier measurement; medians."""
    headers = ("operation", "images", "figure", "verdict", "before ms", "now ms", "change", "noise")
    rows = []
    for change in changes:
        figures = (number(change.before_ms), number(change.now_ms), f"{change.percent:+.1f} %")
        verdict = "SLOWER" if change.regression else "ok"
        operation = f"{change.case.engine} {change.case.operation}"
        noise = f"{change.noise_percent:.0f} %"
        rows.append((operation, change.case.size, words(change.figure), verdict, *figures, noise))
    return Table("Compared with the earlier measurement", headers, rows, 4)


def words(name: str) -> str:
    """Return the name of a stage as words."""
    return name.replace("_", " ")


def _share(stage: Mapping[str, float]) -> str:
    return f"{stage['share_percent']:.1f} %"


def _noise(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.0f} %"


def _names(result: Result) -> tuple[str, str, str]:
    case = Case.from_dict(result["config"])
    operation = case.operation if case.engine == "aeedge" else f"{case.engine} {case.operation}"
    if result["codec_quality"] is not None:
        operation += f", quality {result['codec_quality']:.0f}"
    return operation, case.size, f"{case.device} x {case.threads}"


def number(value: float | None) -> str:
    """Return three significant digits, or a dash."""
    if value is None:
        return "-"
    return figure(value)


def as_markdown(parts: Sequence[Table], facts: Sequence[str]) -> str:
    """Return tables and a line of facts in Markdown."""
    blocks = [", ".join(facts)]
    for part in parts:
        blocks.append(f"**{part.title}**\n\n{table(part.headers, part.rows, part.words, 'pipe')}")
    return "\n\n".join(blocks)


def as_csv(results: Sequence[Result]) -> str:
    """Return one row per total and stage, with the configuration in front."""
    file = io.StringIO()
    figures = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "best_ms", "noise_percent")
    extra = ("images_per_s", "import_ms", "load_ms", "first_run_ms", "peak_memory_mb", "images_per_joule")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*results[0]["config"], "stage", *figures, *extra))
    for result in results:
        config = tuple(result["config"].values())
        writer.writerow(
            (*config, "total", *(result["total"].get(key) for key in figures), *(result[key] for key in extra))
        )
        for name, stage in result["stages"].items():
            writer.writerow((*config, name, *(stage.get(key) for key in figures), *("" for _ in extra)))
    return file.getvalue()


def facts(environment: Mapping[str, Any]) -> list[str]:
    """Return machine and software in a few words each."""
    gpus = [f"{gpu['name']}, driver {gpu['driver']}" for gpu in environment["gpus"]]
    return [
        f"bundle {environment['bundle']['name']} ({environment['bundle']['stream_id']})",
        f"{environment['cpu']}, {environment['cores_available']} of {environment['cores']} cores",
        *gpus,
        environment["system"],
        f"Python {environment['python']}, numpy {environment['numpy']}, onnxruntime {environment['onnxruntime']}",
        f"aeedge {environment['aeedge']}",
        f"load average {environment['load_average']} at the start",
        environment["date"],
    ]
