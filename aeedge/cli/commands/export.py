"""`aeedge export`: a run or a network becomes a bundle, if the bundle computes what they compute."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from aeedge.cli.console import note, print_json, say
from aeedge.cli.network_options import OF_NETWORKS, adaptation, network_options, onnx_pair
from aeedge.cli.options import force_option, json_option
from aeedge.cli.parameters import PATH, Number
from aeedge.figures import count, printable, size
from aeedge.training.openmp import wait_briefly

if TYPE_CHECKING:
    from aeedge_export import ExportReport

OF_RUNS = ("checkpoint", "store_float16", "tables_from", "data_dir", "false_positive_rate")
"""Options that only a run has."""

REFUSED = {
    "RUN": ("calibrate", *OF_NETWORKS),
    "BUNDLE": (*OF_RUNS, "data", *OF_NETWORKS),
    "network": (*OF_RUNS, "calibrate"),
}
"""What is exported -> options that do not apply to it."""

WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt")

MOST_IMAGES = 64
"""Images of --calibrate that are opened: half of them calibrate a graph, 16 at most."""


@click.command()
@click.argument("source", metavar="[RUN|BUNDLE|FILE.py:NAME]", required=False)
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
@click.option("--data", metavar="NAME|FOLDER", help="Images for FILE.py:NAME or ONNX; of RUN, if they have moved.")
@click.option("--data-dir", metavar="DIR", help="The same for the files of a data set such as mnist.")
@click.option(
    "--false-positive-rate",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Of the threshold that `aeedge score` uses.",
)
@network_options
@force_option
@json_option
@click.pass_context
def export(context: click.Context, /, source: str | None, out: Path, as_json: bool, **options: Any) -> None:
    """Write a bundle from a trained RUN, from a network of your own, or from a BUNDLE in another precision.

    NAME is a class, function or object in FILE.py, which this command runs; an ONNX pair is named with --encoder and
    --decoder. Both need --data. Nothing appears under the name of BUNDLE unless every limit of the parity gate holds.
    """
    wait_briefly()
    options["progress"] = None if as_json else note
    pair = onnx_pair(options.pop("encoder"), options.pop("decoder"))
    if (pair is None) == (source is None):
        raise click.UsageError("expected RUN, BUNDLE or FILE.py:NAME, or --encoder and --decoder instead")
    if source is not None:
        _refuse_files(source)
    if source is not None and _is_bundle(source):
        report = _from_bundle(context, source, out, options)
    elif source is not None and not _is_network(source):
        report = _from_run(context, source, out, options)
    else:
        report = _from_network(context, source, pair, out, options)
    if as_json:
        print_json({"command": "export", **report.as_dict()})
    else:
        show_report(report)


def _from_bundle(context: click.Context, source: str, out: Path, options: dict[str, Any]) -> "ExportReport":
    from aeedge_export import export_bundle

    _refuse(context, "BUNDLE", options)
    if options["precision"] == "fp32":
        raise click.UsageError("a BUNDLE is in float32 already; name a RUN, or choose --precision fp16 or int8")
    return export_bundle(source, out, _images(source, options.pop("calibrate")), **options)


def _from_run(context: click.Context, source: str, out: Path, options: dict[str, Any]) -> "ExportReport":
    from aeedge_export import export_run

    _refuse(context, "RUN", options)
    return export_run(source, out, **options)


def _from_network(
    context: click.Context, source: str | None, pair: tuple[Path, Path] | None, out: Path, options: dict[str, Any]
) -> "ExportReport":
    from aeedge_export import export_model, export_onnx
    from aeedge_export.networks.user_code import NetworkFile

    adapted = adaptation(options, onnx=pair is not None)
    weights = options["weights"]
    _refuse(context, "network", options)
    if options["data"] is None:
        raise click.UsageError("a network has no images; name a folder of 36 or more with --data")
    for name in OF_NETWORKS:
        options.pop(name, None)
    if pair is not None:
        return export_onnx(pair[0], pair[1], out, **adapted, **options)
    file = NetworkFile.parse(source or "")
    if file is None:
        raise click.UsageError(f"found {source}, expected FILE.py:NAME")
    network = file.load()
    origin = {"source": file.name, "sha256": file.sha256()}
    return export_model(network, out, name=file.name, weights=weights, origin=origin, **adapted, **options)


def _is_network(source: str) -> bool:
    return source.rpartition(":")[0].endswith(".py")


def _refuse_files(source: str) -> None:
    """Refuse a file that is a part of something, and say how the whole is named."""
    shown, suffix = printable(source), Path(source).suffix
    if suffix == ".onnx":
        raise click.UsageError(f"{shown} is one ONNX file; name both with --encoder and --decoder")
    if suffix in WEIGHTS:
        raise click.UsageError(
            f"{shown} holds weights; name the folder of their run, or their network as FILE.py:NAME and them with "
            "--weights"
        )
    if suffix == ".py":
        raise click.UsageError(f"{shown} may hold several networks; name one as {shown}:NAME")
    if Path(source).is_file() and suffix != ".aeb":
        raise click.UsageError(f"{shown} is a file, expected a run folder or a bundle")


def _is_bundle(place: str) -> bool:
    """Whether RUN names a bundle: a folder with a manifest, an .aeb file, or one that came with the package."""
    from aeedge_runtime.bundle.bundle import shipped_bundles

    path = Path(place)
    return (
        path.suffix == ".aeb"
        or (path / "manifest.json").is_file()
        or (not path.exists() and place in shipped_bundles())
    )


def _refuse(context: click.Context, kind: str, options: dict[str, Any]) -> None:
    """Refuse, and drop, the options that do not apply to what is exported."""
    for name in REFUSED[kind]:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} does not apply to a {kind}")
        options.pop(name, None)


def _images(place: str, folder: Path | None) -> list[Any]:
    from aeedge.evaluation.data import open_images
    from aeedge_runtime import Bundle

    if folder is None:
        raise click.UsageError("a BUNDLE holds no images; name some like those it is for with --calibrate FOLDER")
    images = open_images(folder, Bundle.load(place).manifest.image.channels, MOST_IMAGES)
    return [image.pixels for image in images]


def show_report(report: "ExportReport") -> None:
    """Print what was written, how it compares, and what to run next."""
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
