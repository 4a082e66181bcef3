"""`aeedge export`: writes a trained run as a bundle, if it computes what PyTorch computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from aeedge.cli.console import note, print_json, say
from aeedge.cli.options import force_option, json_option
from aeedge.cli.parameters import PATH, Number
from aeedge.figures import count, printable, size
from aeedge.training.openmp import wait_briefly

if TYPE_CHECKING:
    from collections.abc import Callable

    from aeedge_export import ExportReport

MOST_IMAGES = 64
"""Images of --calibrate that are opened: half of them calibrate a graph, 16 at most."""

FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `aeedge export`; those from `checkpoint` to `false_positive_rate` apply to runs only.

    Attributes:
        source: run folder, or a bundle to write in another precision.
        output: folder or .aeb file.
        only: half of the bundle to write, or None.
        precision: fp32, fp16 or int8.
        quantize: the only graph that the precision is for, or None.
        target: processor that int8 is for; None for this machine's.
        calibrate: folder of images, for a bundle.
        checkpoint: best or last; None for best.
        store_float16: round weights to float16.
        tables_from: bundle whose tables and stream id to keep.
        data: data set or folder with the images of the run, or None.
        data_dir: folder of the data set's files, or None.
        false_positive_rate: of the threshold for anomaly scores, or None.
        force: replace an existing bundle.
        as_json: print one JSON object.
    """

    source: str
    output: Path
    only: Literal["encoder", "decoder"] | None
    precision: str
    quantize: str | None
    target: str | None
    calibrate: Path | None
    checkpoint: Literal["best", "last"] | None
    store_float16: bool
    tables_from: str | None
    data: str | None
    data_dir: str | None
    false_positive_rate: float | None
    force: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse options that do not apply to the source.

        Raises:
            click.UsageError: an option for runs with a bundle, or the other way round, or neither run nor bundle.
        """
        if self.from_bundle:
            self._check_bundle()
        elif self.calibrate is not None:
            raise click.UsageError("--calibrate needs a BUNDLE; a RUN has its own images")
        elif Path(self.source).is_file():
            raise click.UsageError(
                f"{printable(self.source)} is a file, expected a run folder or a bundle; to export a checkpoint, name "
                "the folder of its run, with --checkpoint last or best"
            )

    def _check_bundle(self) -> None:
        of_runs = {
            "--checkpoint": self.checkpoint,
            "--store-float16": self.store_float16,
            "--tables-from": self.tables_from,
            "--data": self.data,
            "--data-dir": self.data_dir,
            "--false-positive-rate": self.false_positive_rate,
        }
        for flag, value in of_runs.items():
            if value:
                raise click.UsageError(f"{flag} needs a RUN, and {printable(self.source)} is a bundle")
        if self.precision == "fp32":
            raise click.UsageError(
                f"{printable(self.source)} is a bundle in float32 already; name a RUN, or use --precision fp16 or int8"
            )
        if self.calibrate is None:
            raise click.UsageError("a bundle holds no images; name a folder of typical ones with --calibrate")

    @property
    def from_bundle(self) -> bool:
        """Whether the source is a bundle: a folder with a manifest, an .aeb file, or one that ships here."""
        from aeedge_runtime.bundle.bundle import shipped_bundles

        path = Path(self.source)
        return (
            path.suffix == ".aeb"
            or (path / "manifest.json").is_file()
            or (not path.exists() and self.source in shipped_bundles())
        )


@click.command()
@click.argument("source", metavar="RUN|BUNDLE")
@click.option(
    "-o", "--output", metavar="BUNDLE", type=PATH, required=True, help="Bundle to write: a folder, or NAME.aeb."
)
@click.option(
    "--only", type=click.Choice(["encoder", "decoder"]), help="Write half a bundle, for a device that needs one side."
)
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
@click.option("--calibrate", metavar="FOLDER", type=PATH, help="Folder of typical images, to change the precision of a BUNDLE.")
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
@click.option("--data", metavar="NAME|FOLDER", help="Images of RUN, if they have moved since training.")
@click.option("--data-dir", metavar="DIR", help="Folder of the data set's files, if they have moved.")
@click.option(
    "--false-positive-rate",
    metavar="RATE",
    type=Number(0, 1),
    help="False-positive rate of the threshold that `aeedge score` uses.  [default: 0.01]",
)
@force_option
@json_option
def export(**values: Any) -> None:
    """Export a trained RUN as a bundle, and check it against PyTorch.

    Or write an existing BUNDLE in another precision. Nothing is written unless every limit of the parity check holds.
    """
    options = ExportOptions(**values)
    wait_briefly()
    report = (_from_bundle if options.from_bundle else _from_run)(options, None if options.as_json else note)
    if options.as_json:
        print_json({"command": "export", **report.as_dict()})
    else:
        _show(report)


def _from_bundle(options: ExportOptions, progress: Callable[[str], None] | None) -> ExportReport:
    from aeedge.evaluation.data import open_images
    from aeedge_export import export_bundle
    from aeedge_runtime import Bundle

    channels = Bundle.load(options.source).manifest.image.channels
    return export_bundle(
        options.source,
        options.output,
        [image.pixels for image in open_images(options.calibrate or Path(), channels, MOST_IMAGES)],
        precision=options.precision,
        only=options.only,
        quantize=options.quantize,
        target=options.target,
        force=options.force,
        progress=progress,
    )


def _from_run(options: ExportOptions, progress: Callable[[str], None] | None) -> ExportReport:
    from aeedge_export import export_run

    return export_run(
        options.source,
        options.output,
        only=options.only,
        precision=options.precision,
        quantize=options.quantize,
        target=options.target,
        force=options.force,
        checkpoint=options.checkpoint or "best",
        store_float16=options.store_float16,
        tables_from=options.tables_from,
        data=options.data,
        data_dir=options.data_dir,
        false_positive_rate=options.false_positive_rate or FALSE_POSITIVE_RATE,
        progress=progress,
    )


def _show(report: ExportReport) -> None:
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
