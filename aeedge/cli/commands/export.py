"""`aeedge export`: writes a run or a network as a bundle, if the bundle computes what they compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from aeedge.cli.console import note, print_json, say
from aeedge.cli.options.networks import NetworkOptions, is_network_file, network_file, network_of_run, network_options
from aeedge.cli.options.parameters import PATH, Number
from aeedge.cli.options.shared import force_option, json_option
from aeedge.figures import count, printable, size
from aeedge.training.openmp import wait_briefly

if TYPE_CHECKING:
    from aeedge_export import ExportReport

WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt")
"""Suffixes of files that hold weights alone."""

MOST_IMAGES = 64
"""Images of --calibrate that are opened: half of them calibrate a graph, 16 at most."""

FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class ExportOptions(NetworkOptions):
    """Options of `aeedge export`; those from `checkpoint` to `force_dead` apply to runs only.

    Attributes:
        source: run folder, bundle or FILE.py:NAME; None for a pair of ONNX files.
        model: network of a run that trained a network of one's own.
        output: folder or .aeb file.
        only: half of the bundle to write, or None.
        precision: fp32, fp16 or int8.
        quantize: the only graph that the precision is for, or None.
        target: processor that int8 is for; None for this machine's.
        calibrate: folder of images, for a bundle.
        data: folder of images, or data set of a run.
        prior: factorized or fit.
        checkpoint: best or last; None for best.
        store_float16: round weights to float16.
        tables_from: bundle whose tables and stream id to keep.
        data_dir: folder of the data set's files, or None.
        false_positive_rate: of the threshold for anomaly scores, or None.
        force_dead: export a network whose latents are the same for every image.
        force: replace an existing bundle.
        as_json: print one JSON object.
    """

    source: str | None
    model: str | None
    output: Path
    only: Literal["encoder", "decoder"] | None
    precision: str
    quantize: str | None
    target: str | None
    calibrate: Path | None
    data: str | None
    prior: Literal["factorized", "fit"]
    checkpoint: Literal["best", "last"] | None
    store_float16: bool
    tables_from: str | None
    data_dir: str | None
    false_positive_rate: float | None
    force_dead: bool
    lite: Path | None
    force: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse options that do not apply to what is exported.

        Raises:
            click.UsageError: there are any, nothing is named, or something that cannot be exported.
        """
        super().__post_init__()
        if (self.onnx_pair is None) == (self.source is None):
            raise click.UsageError("name either RUN, BUNDLE or FILE.py:NAME, or --encoder and --decoder")
        of_runs: dict[str, object] = {
            "--model": self.model,
            "--checkpoint": self.checkpoint,
            "--tables-from": self.tables_from,
            "--data-dir": self.data_dir,
            "--false-positive-rate": self.false_positive_rate,
            "--force-dead": self.force_dead,
        }
        lite: dict[str, object] = {"--lite": self.lite}
        rounding: dict[str, object] = {"--store-float16": self.store_float16}
        of_bundles: dict[str, object] = {"--calibrate": self.calibrate}
        if self.kind == "bundle":
            self._refuse(of_runs | {"--data": self.data} | self.of_networks | ({} if self.lite else rounding))
            if self.prior == "fit":
                raise click.UsageError("--prior fit does not apply to a bundle; use aeedge fit-prior")
            if self.precision == "fp32" and not self.lite:
                raise click.UsageError("a bundle is already in float32; use --precision fp16 or int8, or --lite RUN")
            if self.calibrate is None:
                raise click.UsageError("a bundle holds no images; name a folder of typical ones with --calibrate")
        elif self.kind == "network":
            self._refuse(of_runs | lite | rounding | of_bundles)
            if self.data is None:
                raise click.UsageError("a network has no images; name a folder of 36 or more with --data")
        else:
            self._refuse(of_bundles | self.of_networks)
            _refuse_file(self.source or "")

        if self.prior == "fit":
            for flag, value in {"--only": self.only, "--tables-from": self.tables_from, "--lite": self.lite}.items():
                if value:
                    raise click.UsageError(f"{flag} cannot be combined with --prior fit")
            if self.precision != "fp32":
                raise click.UsageError("--precision cannot be combined with --prior fit")

    def _refuse(self, flags: dict[str, object]) -> None:
        for flag, value in flags.items():
            if value:
                raise click.UsageError(f"{flag} does not apply to a {self.kind}")

    @property
    def kind(self) -> Literal["bundle", "run", "network"]:
        """What the source is: a bundle is a folder with a manifest, an .aeb file, or one that ships here."""
        from aeedge_runtime.bundle.bundle import shipped_bundles

        if self.source is None or is_network_file(self.source):
            return "network"
        path = Path(self.source)
        shipped = not path.exists() and self.source in shipped_bundles()
        return "bundle" if shipped or path.suffix == ".aeb" or (path / "manifest.json").is_file() else "run"

    @property
    def common(self) -> dict[str, Any]:
        """Keyword arguments that every way of exporting takes."""
        return {
            "only": self.only,
            "precision": self.precision,
            "quantize": self.quantize,
            "target": self.target,
            **self.output_options,
        }

    @property
    def output_options(self) -> dict[str, Any]:
        """Keyword arguments of everything that writes a bundle."""
        return {"force": self.force, "progress": None if self.as_json else note}


@click.command()
@click.argument("source", metavar="[RUN|BUNDLE|FILE.py:NAME]", required=False)
@click.option(
    "-o", "--output", metavar="BUNDLE", type=PATH, required=True, help="Bundle to write: a folder, or NAME.aeb."
)
@click.option(
    "--only",
    type=click.Choice(["encoder", "decoder"]),
    help="Write half a bundle, for a device that only encodes or only decodes.",
)
@click.option("--model", metavar="FILE.py:NAME", help="Network of RUN, if RUN trained one of your own.")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), help="Checkpoint of RUN.  [default: best]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of the graphs.",
)
@click.option("--quantize", type=click.Choice(["encoder", "decoder"]), help="Apply --precision to this graph only.")
@click.option(
    "--target",
    type=click.Choice(["x86-vnni", "x86", "arm64"]),
    help="Processor that int8 is for.  [default: this machine's]",
)
@click.option("--calibrate", metavar="FOLDER", type=PATH, help="Typical images, to change a BUNDLE.")
@click.option(
    "--store-float16",
    is_flag=True,
    help="Store weights as float16: half the size, float32 arithmetic, another stream id.",
)
@click.option(
    "--tables-from",
    metavar="BUNDLE",
    help="Keep the tables and stream id of a bundle with the same encoder.",
)
@click.option("--data", metavar="NAME|FOLDER", help="Images for a network; images of RUN, if they have moved.")
@click.option("--data-dir", metavar="DIR", help="Folder of the data set's files, if they have moved.")
@click.option(
    "--false-positive-rate",
    metavar="RATE",
    type=Number(0, 1),
    help="False-positive rate of the threshold that `aeedge score` uses.  [default: 0.01]",
)
@click.option(
    "--prior",
    type=click.Choice(["factorized", "fit"]),
    default="factorized",
    show_default=True,
    help="fit: smaller streams by a prior fitted to the latents, in minutes; see aeedge fit-prior.",
)
@click.option("--force-dead", is_flag=True, help="Export a network whose latents are the same for every image.")
@click.option(
    "--lite",
    metavar="RUN",
    type=PATH,
    help="Add a fast second decoder, from a RUN of `aeedge train --train-decoder`.",
)
@network_options
@force_option
@json_option
def export(**values: Any) -> None:
    """Export a trained RUN, a network of your own, or a BUNDLE in another precision, as a bundle.

    NAME is a class, function or object in FILE.py, which this command runs; name a pair of ONNX files with --encoder
    and --decoder instead. Both need --data. Nothing is written unless every limit of the parity check holds.
    """
    options = ExportOptions(**values)
    wait_briefly()
    report = {"bundle": _from_bundle, "run": _from_run, "network": _from_network}[options.kind](options)
    if options.as_json:
        print_json({"command": "export", **report.as_dict()})
    else:
        show_report(report)


def _from_bundle(options: ExportOptions) -> ExportReport:
    from aeedge.evaluation.data import open_images
    from aeedge_export import export_bundle
    from aeedge_runtime import Bundle

    bundle = options.source or ""
    images = open_images(options.calibrate or Path(), Bundle.load(bundle).manifest.image.channels, MOST_IMAGES)
    pixels = [image.pixels for image in images]
    lite, rounded = options.lite, options.store_float16
    return export_bundle(bundle, options.output, pixels, lite=lite, store_float16=rounded, **options.common)


def _from_run(options: ExportOptions) -> ExportReport:
    if options.prior == "factorized":
        return _run_without_prior(options, options.output)
    from aeedge_export.prior.fit_bundle import IMAGES, export_with_prior
    from aeedge_export.source import training_images

    images = training_images(options.source or "", options.data, options.data_dir, most=IMAGES)
    return export_with_prior(
        lambda path: _run_without_prior(options, path), options.output, data=images, **options.output_options
    )


def _run_without_prior(options: ExportOptions, output: Path) -> ExportReport:
    from aeedge_export import export_run

    return export_run(
        options.source or "",
        output,
        checkpoint=options.checkpoint or "best",
        store_float16=options.store_float16,
        tables_from=options.tables_from,
        data=options.data,
        data_dir=options.data_dir,
        false_positive_rate=options.false_positive_rate or FALSE_POSITIVE_RATE,
        network=network_of_run(options.model, Path(options.source or "")) if options.model else None,
        force_dead=options.force_dead,
        lite=options.lite,
        **options.common,
    )


def _from_network(options: ExportOptions) -> ExportReport:
    from aeedge_export import export_model, export_onnx

    data, adaptation = options.data or "", options.adaptation
    if options.onnx_pair:
        encoder, decoder = options.onnx_pair
        return export_onnx(
            encoder, decoder, options.output, data=data, prior=options.prior, **adaptation, **options.common
        )
    file = network_file(options.source or "")
    return export_model(
        file.load(),
        options.output,
        data=data,
        name=file.name,
        weights=options.weights,
        origin={"source": file.name, "sha256": file.sha256()},
        prior=options.prior,
        **adaptation,
        **options.common,
    )


def _refuse_file(source: str) -> None:
    """Refuse a file that is a part of something, and say how to name the whole."""
    name, suffix = printable(source), Path(source).suffix
    if suffix == ".onnx":
        raise click.UsageError(f"{name} is one ONNX file; name both with --encoder and --decoder")
    if suffix in WEIGHTS:
        raise click.UsageError(
            f"{name} holds weights; pass its run folder, or the network as FILE.py:NAME and this file with --weights"
        )
    if suffix == ".py":
        raise click.UsageError(f"{name} may hold several networks; name one as {name}:NAME")
    if Path(source).is_file():
        raise click.UsageError(f"{name} is a file, expected a run folder or a bundle")


def show_report(report: ExportReport) -> None:
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
        if key == "rates":
            continue
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
    _show_rates(report.facts.get("rates", ()))
    say("next:")
    for command in report.next_commands:
        say(f"  {command}")


def _show_rates(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        say("on held-out images:")
        say("  quality  bits per pixel   ratio      PSNR")
    for row in rows:
        psnr = f"{row['psnr_db']:.2f} dB"
        say(f"  {row['quality']:>7}  {row['bits_per_pixel']:>14.3f}  {row['ratio']:>4.0f}:1  {psnr:>8}")
