"""`aeedge bench`: measures how fast a bundle is on this machine, stage by stage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.bench_report import BenchReport
from aeedge.cli.console import note, warn
from aeedge.cli.options.bench import ENGINES, OPERATIONS, BenchOptions
from aeedge.cli.options.parameters import COUNTS, PATH, PERCENT, QUALITY, SIZES, WORDS, Parsed, Whole, listed, one_of
from aeedge.cli.options.shared import force_option, json_option
from aeedge.cli.outlet import Outlet
from aeedge.figures import count

if TYPE_CHECKING:
    from aeedge.benchmark.case import Grid
    from aeedge.benchmark.measure import Report
    from aeedge.benchmark.regression import Comparison
    from aeedge_runtime.bundle.manifest import Manifest

FAIL_OVER_PERCENT = 10.0
"""How much slower a figure may become unless the user says otherwise."""


@click.command()
@click.argument("bundle")
@click.option("--device", metavar="NAME,...", type=WORDS, default="cpu", show_default=True, help="Devices to measure.")
@click.option("--threads", metavar="N,...", type=COUNTS, help="Threads that the networks use.  [default: one per core]")
@click.option("--batch", metavar="N,...", type=COUNTS, default="1", show_default=True, help="Images per call.")
@click.option("--size", metavar="WxH,...", type=SIZES, help="Image sizes.  [default: 768x512, or one patch]")
@click.option("--quality", metavar="1..100", type=QUALITY, default=50, show_default=True, help="Quality of BUNDLE.")
@click.option(
    "--operation",
    metavar="NAME,...",
    type=Parsed(listed(one_of(OPERATIONS)), ",".join(OPERATIONS)),
    default="compress,decompress",
    show_default=True,
    help="What to measure: compress, decompress, encode, decode.",
)
@click.option(
    "--input",
    type=click.Choice(["jpeg", "png", "array"]),
    default="jpeg",
    show_default=True,
    help="Input of compress.",
)
@click.option(
    "--images",
    metavar="PATH",
    multiple=True,
    help="Image or folder to use; repeatable.  [default: a synthetic image, or the golden ones]",
)
@click.option("--repeats", metavar="N", type=Whole(), help="Processes per configuration.  [default: 4]")
@click.option(
    "--samples",
    metavar="N",
    type=Whole(3),
    help="Timed calls per process.  [default: 20, more if they are short]",
)
@click.option("--quick", is_flag=True, help="Measure for a few seconds only, with more noise.")
@click.option(
    "--against",
    metavar="NAME,...",
    type=Parsed(listed(one_of(ENGINES)), ",".join(ENGINES)),
    default=(),
    help="Also measure these on the same images: torch, jpeg, webp, avif.",
)
@click.option(
    "--run",
    metavar="RUN",
    type=PATH,
    help="Run that BUNDLE was exported from, for --against torch.  [default: the weights that ship with the preset]",
)
@click.option("--compare", metavar="OLD.json", type=PATH, help="Compare with an earlier report.")
@click.option(
    "--fail-over",
    metavar="PERCENT",
    type=PERCENT,
    help="Slowdown above which --compare fails.  [default: 10%]",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one line per configuration and stage.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--picture", metavar="FILE", type=PATH, help="Draw a chart of the stages; needs the report extra.")
@click.option("-o", "--output", metavar="FILE.json", type=PATH, help="Also write the JSON report to a file.")
@force_option
def bench(**values: Any) -> int:
    """Measure time, memory and energy of BUNDLE on this machine, in stages that add up to the whole.

    Every configuration runs several times in new processes, interleaved with the others, and every timed result is
    checked. With --compare, the exit code is 1 if anything became slower by more than --fail-over and
    by more than the noise.
    """
    options = BenchOptions(**values)
    outlet = _checked_outlet(options)
    before = _before(options.compare)
    report = _measure(options, before)
    for text in report.warnings:
        warn(text)
    comparison = _compare(report, before, FAIL_OVER_PERCENT if options.fail_over is None else options.fail_over)
    result = BenchReport(report, comparison)
    if options.output:
        outlet.write(options.output, result.as_json().encode())
    result.show(options.style)
    if options.picture:
        outlet.write(options.picture, result.chart(options.picture.suffix))
    result.complain()
    return result.exit_code


def _checked_outlet(options: BenchOptions) -> Outlet:
    """Return what writes the outputs, after a check that they can be written, before minutes of work."""
    outlet = Outlet((), force=options.force)
    for path in (options.output, options.picture):
        if path:
            outlet.check(path)
    if options.picture:
        from aeedge.benchmark.chart import require_chart

        require_chart(options.picture.suffix)
    return outlet


def _before(path: Path | None) -> dict[str, Any] | None:
    """Read the report to compare with, before minutes of work."""
    from aeedge.benchmark.regression import read_report

    return read_report(path) if path else None


def _measure(options: BenchOptions, before: dict[str, Any] | None) -> Report:
    from aeedge.benchmark.inputs import MOST_ITEMS
    from aeedge.benchmark.measure import benchmark
    from aeedge.benchmark.pictures import load_pictures
    from aeedge.benchmark.regression import cases_of
    from aeedge.figures import spread
    from aeedge.sources import find_sources
    from aeedge_runtime import Bundle
    from aeedge_runtime.images.formats import IMAGE_SUFFIXES

    manifest = Bundle.load(options.bundle).manifest
    if options.torch and not options.run:
        _require_shipped_weights(manifest.preset)
    sources = find_sources(options.images, IMAGE_SUFFIXES)
    chosen = [sources[index].path for index in spread(len(sources), MOST_ITEMS * max(options.batch))]
    return benchmark(
        options.bundle,
        _grid(manifest, options),
        pictures=load_pictures([path for path in chosen if path], manifest.image.channels),
        effort=options.effort,
        run=options.run,
        command=["aeedge", *sys.argv[1:]],
        before=cases_of(before) if before else None,
        progress=_progress,
    )


def _require_shipped_weights(preset: str) -> None:
    from aeedge.presets import ships_weights

    if not ships_weights(preset):
        raise click.UsageError("--against torch needs the run that the bundle was exported from; name it with --run")


def _grid(manifest: Manifest, options: BenchOptions) -> Grid:
    from aeedge.benchmark.case import TORCH, Grid
    from aeedge_runtime.inference.processors import default_threads

    rows, columns = manifest.image.stride if manifest.image.patched else (512, 768)
    engines = [engine for name in options.against for engine in (TORCH if name == "torch" else (name,))]
    torch = ("encode", "decode") if options.torch else ()
    return Grid(
        operations=tuple(dict.fromkeys((*options.operation, *torch))),
        devices=options.device,
        threads=options.threads or (default_threads(),),
        batches=options.batch,
        sizes=options.size or ((columns, rows),),
        quality=options.quality,
        input=options.input,
        against=tuple(engines),
    )


def _progress(done: int, total: int, what: str) -> None:
    note(f"{done + 1} of {total}  {what}")


def _compare(report: Report, before: dict[str, Any] | None, fail_over: float) -> Comparison | None:
    if before is None:
        return None
    from aeedge.benchmark.regression import compare

    comparison = compare(before, report.as_dict(), fail_over)
    for text in comparison.notes:
        warn(f"the settings differ: {text}")
    if comparison.missing:
        warn(f"{count(len(comparison.missing), 'configuration')} found in only one of the reports, not compared")
    return comparison
