"""`aeedge export`: a trained run becomes a bundle, if it computes what PyTorch computes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from aeedge.cli.console import note, print_json, say
from aeedge.cli.options import Number, force_option, json_option
from aeedge.figures import count, size
from aeedge.training.openmp import wait_briefly

if TYPE_CHECKING:
    from aeedge_export import ExportReport

PATH = click.Path(path_type=Path)

OF_RUNS = ("checkpoint", "store_float16", "tables_from", "data", "data_dir", "false_positive_rate")
"""Options that a bundle cannot take: they are about what only a run has."""

MOST_IMAGES = 64
"""Images of --calibrate that are opened: half of them calibrate a graph, 16 at most."""


@click.command()
@click.argument("run", metavar="RUN|BUNDLE")
@click.option("-o", "--output", "out", metavar="BUNDLE", type=PATH, required=True, help="A folder, or NAME.aeb.")
@click.option("--only", type=click.Choice(["encoder", "decoder"]), help="Half a bundle, for a device on one side.")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32", show_default=True)
@click.option("--quantize", type=click.Choice(["encoder", "decoder"]), help="The only graph that --precision changes.")
@click.option("--target", type=click.Choice(["x86-vnni", "x86", "arm64"]), help="Of int8; by default this machine's.")
@click.option("--calibrate", metavar="FOLDER", type=PATH, help="Images for a BUNDLE in another --precision.")
@click.option(
    "--store-float16",
    is_flag=True,
    help="Round weights to float16: half the size, float32 arithmetic, a stream id of its own.",
)
@click.option("--tables-from", metavar="BUNDLE", help="Keep its tables and stream id; its encoder must be the same.")
@click.option("--data", metavar="NAME|FOLDER", help="Where the images of RUN lie now, if they have moved.")
@click.option("--data-dir", metavar="DIR", help="The same for the files of a data set such as mnist.")
@click.option(
    "--false-positive-rate",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Of the threshold that `aeedge score` uses.",
)
@force_option
@json_option
@click.pass_context
def export(
    context: click.Context, /, run: str, out: Path, as_json: bool, calibrate: Path | None, **options: Any
) -> None:
    """Write the trained RUN as a bundle, and check it against PyTorch; or a BUNDLE in another precision.

    Nothing appears under the name of BUNDLE unless every limit of the parity gate holds.
    """
    wait_briefly()
    from aeedge_export import export_bundle, export_run

    progress = None if as_json else note
    if _is_bundle(run):
        _refuse_options_of_runs(context)
        if options["precision"] == "fp32":
            raise click.UsageError("found a BUNDLE, which is in float32; name a RUN, or --precision fp16 or int8")
        for name in OF_RUNS:
            del options[name]
        report = export_bundle(run, out, _images(run, calibrate), progress=progress, **options)
    elif calibrate is not None:
        raise click.UsageError("--calibrate is for a BUNDLE; a RUN has its own images")
    else:
        report = export_run(run, out, progress=progress, **options)
    if as_json:
        print_json({"command": "export", **report.as_dict()})
    else:
        _show(report)


def _is_bundle(place: str) -> bool:
    """Whether RUN names a bundle: a folder with a manifest, an .aeb file, or one that came with the package."""
    from aeedge_runtime.bundle.bundle import shipped_bundles

    path = Path(place)
    return (
        path.suffix == ".aeb"
        or (path / "manifest.json").is_file()
        or (not path.exists() and place in shipped_bundles())
    )


def _refuse_options_of_runs(context: click.Context) -> None:
    for name in OF_RUNS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} is for a RUN, found a BUNDLE")


def _images(place: str, folder: Path | None) -> list[Any]:
    from aeedge.evaluation.data import open_images
    from aeedge_runtime import Bundle

    if folder is None:
        raise click.UsageError("a BUNDLE holds no images; name some like those it is for with --calibrate FOLDER")
    images = open_images(folder, Bundle.load(place).manifest.image.channels, MOST_IMAGES)
    return [image.pixels for image in images]


def _show(report: "ExportReport") -> None:
    say(f"bundle   {report.path}, stream id {report.stream_id}")
    for name, octets in report.files.items():
        if not name.startswith("golden/"):
            say(f"  {name:20}{size(octets):>10}")
    golden = [octets for name, octets in report.files.items() if name.startswith("golden/")]
    label = f"golden ({count(len(golden), 'file')})"
    say(f"  {label:20}{size(sum(golden)):>10}")
    say(f"  {'together':20}{size(report.total_bytes):>10}")
    for key, value in report.facts.items():
        shown = ", ".join(f"{name}: {entry}" for name, entry in value.items()) if isinstance(value, dict) else value
        say(f"{key.replace('_', ' ')}: {shown}")
    against = "the float32 bundle" if report.price else "PyTorch"
    say(f"parity with {against} over {count(report.parity.symbols, 'symbol')} of held-out images, each limit held:")
    for check in report.parity.checks:
        say(f"  {check}")
    if report.price:
        say(f"price on this machine, {count(report.price.threads, 'thread')}, against float32:")
        for line in report.price.lines():
            say(f"  {line}")
    say("next:")
    for command in report.next_commands:
        say(f"  {command}")
