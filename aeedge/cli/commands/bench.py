"""`aeedge bench`: how fast a bundle is on this machine, stage by stage, without PyTorch."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import complain, note, print_json, say, warn
from aeedge.cli.options import force_option, json_option
from aeedge.cli.outputs import OutputGuard
from aeedge.figures import count, printable, table
from aeedge.sources import STDIN

if TYPE_CHECKING:
    from aeedge.benchmark.measure import Report
    from aeedge.benchmark.regression import Comparison

PATH = click.Path(path_type=Path)

FAIL_OVER_PERCENT = 10.0
"""What a figure may become slower when nobody says."""


class Words(click.ParamType[tuple[Any, ...]]):
    """A list of words separated by commas.

    Args:
        metavar: what the help calls it.
        convert: turns one word into its value; raises ValueError for one that does not fit.
    """

    def __init__(self, metavar: str, convert: Callable[[str], Any]) -> None:
        self.name = metavar
        self._convert = convert

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the list as the help shows it."""
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of values."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._convert(word.strip()) for word in value.split(","))
        except ValueError:
            self.fail(f"found {printable(value)}, expected {self.name}", param, ctx)


def _size(word: str) -> tuple[int, int]:
    width, _, height = word.partition("x")
    return _positive(width), _positive(height)


def _positive(word: str) -> int:
    if int(word) < 1:
        raise ValueError(word)
    return int(word)


def _one_of(*words: str) -> Callable[[str], str]:
    def convert(word: str) -> str:
        if word not in words:
            raise ValueError(word)
        return word

    return convert


def _percent(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value.rstrip("% "))
    except ValueError as error:
        raise click.BadParameter(f"found {printable(value)}, expected a percentage such as 10%") from error
    if not number >= 0:
        raise click.BadParameter(f"found {printable(value)}, expected 0% or more")
    return number


OPERATIONS = Words("compress,decompress,encode,decode", _one_of("compress", "decompress", "encode", "decode"))
AGAINST = Words("torch,jpeg,webp,avif", _one_of("torch", "jpeg", "webp", "avif"))


@click.command()
@click.argument("bundle")
@click.option("--device", "devices", type=Words("NAME,...", str), default="cpu", show_default=True)
@click.option("--threads", type=Words("N,...", _positive), help="Threads of the networks.  [default: one per core]")
@click.option("--batch", "batches", type=Words("N,...", _positive), default="1", show_default=True)
@click.option("--size", "sizes", type=Words("WxH,...", _size), help="[default: 768x512, or one patch]")
@click.option("--quality", metavar="1..100", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--operation", "operations", type=OPERATIONS, default="compress,decompress", show_default=True)
@click.option("--input", "kind", type=click.Choice(["jpeg", "png", "array"]), default="jpeg", show_default=True)
@click.option(
    "--images", metavar="PATH", multiple=True, help="Images or folders to use.  [default: one drawn, or golden]"
)
@click.option("--repeats", type=click.IntRange(min=1), help="Fresh processes per configuration.  [default: 4]")
@click.option("--samples", type=click.IntRange(min=3), help="Timed calls per process.  [default: 20, short ones more]")
@click.option("--quick", is_flag=True, help="Two processes of five calls: a few seconds, more noise.")
@click.option("--against", type=AGAINST, default=(), help="Also time these on the same images.")
@click.option("--run", type=PATH, help="The run that BUNDLE was exported from, for --against torch.")
@click.option("--compare", "before", metavar="OLD.json", type=PATH, help="Compare with an earlier --json.")
@click.option("--fail-over", metavar="PERCENT", callback=_percent, help="With --compare.  [default: 10%]")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one line per configuration and stage.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--picture", metavar="FILE", type=PATH, help="Draw the stages; needs the report extra.")
@click.option("-o", "--output", metavar="FILE.json", type=PATH, help="Also write the JSON to a file.")
@force_option
def bench(bundle: str, **options: Any) -> int:
    """Measure time, memory and energy of BUNDLE on this machine, in stages that add up to the whole.

    Every configuration runs several times in fresh processes, in turn with the others; every timed result is checked.
    With --compare the exit code is 1 if anything became slower by more than --fail-over and by more than the noise.
    """
    _check(options)
    before = _before(options["before"])
    report = _measure(bundle, before, options)
    for text in report.warnings:
        warn(text)
    limit = FAIL_OVER_PERCENT if options["fail_over"] is None else options["fail_over"]
    comparison = _compare(report, before, limit)
    content = {"command": "bench", **report.as_dict()}
    if comparison:
        content["comparison"] = comparison.as_dict()
    if options["output"]:
        _write(options["output"], content, overwrite=options["force"])
    _show(report, comparison, content, options)
    if options["picture"]:
        from aeedge.benchmark.chart import draw_chart
        from aeedge.benchmark.tables import facts

        chart = draw_chart(report.results, ", ".join(facts(report.environment)), options["picture"].suffix)
        _publish(options["picture"], chart, overwrite=options["force"])
    return _judge(comparison)


def _check(options: dict[str, Any]) -> None:
    chosen = [name for name in ("as_json", "as_csv", "as_markdown") if options[name]]
    if len(chosen) > 1:
        names = " and ".join("--" + name.removeprefix("as_") for name in chosen)
        raise click.UsageError(f"found {names}, expected one of them; -o writes JSON beside the other")
    torch = "torch" in options["against"]
    if torch and not options["run"]:
        raise click.UsageError("--against torch needs the run that the bundle was exported from; name it with --run")
    if options["run"] and not torch:
        raise click.UsageError("found --run without --against torch, which alone uses it")
    if options["fail_over"] is not None and not options["before"]:
        raise click.UsageError("found --fail-over without --compare, which alone uses it")
    if options["quick"] and (options["repeats"] or options["samples"]):
        raise click.UsageError("found --quick with --repeats or --samples, expected one or the other")
    if options["output"] == Path(STDIN):
        raise click.UsageError("found -o -, expected a file; --json prints the same on stdout")
    if STDIN in options["images"]:
        raise click.UsageError("--images: found -, expected a file or a folder")
    _check_operations(options["against"], options["operations"])
    guard = OutputGuard((), force=options["force"], skip_existing=None)
    for path in (options["output"], options["picture"]):
        if path:  # before minutes of work, not after
            guard.wants(path)
    if picture := options["picture"]:
        if options["output"] and os.path.realpath(options["output"]) == os.path.realpath(picture):
            raise click.UsageError(f"found {printable(picture)} for both -o and --picture, expected two files")
        from aeedge.benchmark.chart import require_chart

        require_chart(picture.suffix)


def _check_operations(against: Sequence[str], operations: Sequence[str]) -> None:
    """Refuse an engine that does nothing of what is to be measured; for PyTorch, encode and decode are added."""
    from aeedge.benchmark.case import CLASSICS, operations_of

    for name in against:
        if name in CLASSICS and not set(operations_of(name)) & set(operations):
            raise click.UsageError(
                f"--against {name}: found --operation {','.join(operations)}, expected one of "
                f"{', '.join(operations_of(name))} among them, as {name} does nothing else"
            )


def _measure(bundle: str, before: dict[str, Any] | None, options: dict[str, Any]) -> "Report":
    from dataclasses import replace

    from aeedge.benchmark.inputs import MOST_ITEMS
    from aeedge.benchmark.measure import benchmark
    from aeedge.benchmark.pictures import load_pictures
    from aeedge.benchmark.protocol import QUICK, Effort
    from aeedge.benchmark.regression import cases_of
    from aeedge.figures import spread
    from aeedge.sources import find_sources
    from aeedge_runtime import Bundle
    from aeedge_runtime.images.formats import IMAGE_SUFFIXES

    loaded = Bundle.load(bundle)
    changes = {name: options[name] for name in ("repeats", "samples") if options[name]}
    if options["samples"]:
        changes["samples_seconds"] = 0.0
    sources = find_sources(options["images"], IMAGE_SUFFIXES)
    chosen = spread(len(sources), MOST_ITEMS * max(options["batches"]))
    paths = [sources[index].path for index in chosen]
    pictures = load_pictures([path for path in paths if path], loaded.manifest.image.channels)
    return benchmark(
        bundle,
        _grid(loaded.manifest.image, options),
        pictures=pictures,
        effort=QUICK if options["quick"] else replace(Effort(), **changes),
        run=options["run"],
        command=["aeedge", *sys.argv[1:]],
        before=cases_of(before) if before else None,
        progress=_progress,
    )


def _grid(image: Any, options: dict[str, Any]) -> Any:
    from aeedge.benchmark.case import TORCH, Grid
    from aeedge_runtime.inference.backend import default_threads

    usual = image.stride[::-1] if image.patched else (768, 512)
    engines = [engine for name in options["against"] for engine in (TORCH if name == "torch" else (name,))]
    torch = ("encode", "decode") if "torch" in options["against"] else ()
    return Grid(
        operations=tuple(dict.fromkeys((*options["operations"], *torch))),
        devices=options["devices"],
        threads=options["threads"] or (default_threads(),),
        batches=options["batches"],
        sizes=options["sizes"] or (tuple(usual),),
        quality=options["quality"],
        input=options["kind"],
        against=tuple(engines),
    )


def _progress(done: int, total: int, what: str) -> None:
    note(f"{done + 1} of {total}  {what}")


def _before(path: Path | None) -> dict[str, Any] | None:
    """Read the report to compare with before minutes of work, not after."""
    from aeedge.benchmark.regression import read_report

    return read_report(path) if path else None


def _compare(report: "Report", before: dict[str, Any] | None, fail_over: float) -> "Comparison | None":
    if before is None:
        return None
    from aeedge.benchmark.regression import compare

    comparison = compare(before, report.as_dict(), fail_over)
    for text in comparison.notes:
        warn(f"compared with another setting: {text}")
    if comparison.missing:
        warn(f"{count(len(comparison.missing), 'configuration')} of one measurement only, not compared")
    return comparison


def _write(path: Path, content: dict[str, Any], *, overwrite: bool) -> None:
    import json

    from aeedge.cli.console import JSON_SCHEMA

    text = json.dumps({"schema": JSON_SCHEMA, **content}, indent=1) + "\n"
    _publish(path, text.encode(), overwrite=overwrite)


def _publish(path: Path, data: bytes, *, overwrite: bool) -> None:
    from aeedge_runtime.files import atomic_write

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, data, overwrite=overwrite)


def _show(report: "Report", comparison: "Comparison | None", content: dict[str, Any], options: dict[str, Any]) -> None:
    from aeedge.benchmark import tables

    parts = tables.tables(report.results)
    if comparison:
        parts.append(tables.comparison_table(comparison.changes))
    if options["as_json"]:
        print_json(content)
    elif options["as_csv"]:
        click.echo(tables.as_csv(report.results), nl=False)
    elif options["as_markdown"]:
        say(tables.as_markdown(parts, tables.facts(report.environment)))
    else:
        _print(parts, tables.facts(report.environment))


def _print(parts: Sequence[Any], facts: Sequence[str]) -> None:
    for fact in facts:
        say(fact)
    for part in parts:
        say(f"\n{part.title}\n\n{table(part.headers, part.rows, part.words)}")


def _judge(comparison: "Comparison | None") -> int:
    regressions = comparison.regressions if comparison else []
    for change in regressions:
        complain(f"slower: {change}")
    return 1 if regressions else 0
