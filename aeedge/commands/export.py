"""`aeedge export`: a trained run becomes a bundle, if it computes what PyTorch computes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.console import count, note, print_json, say, size

if TYPE_CHECKING:
    from aeedge_export import ExportReport

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", "out", metavar="BUNDLE", type=PATH, required=True, help="A folder, or NAME.aeb.")
@click.option("--only", type=click.Choice(["encoder", "decoder"]), help="Half a bundle, for a device on one side.")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option("--precision", default="fp32", show_default=True, help="Of the weights.")
@click.option("--tables-from", metavar="BUNDLE", help="Keep its tables and stream id; its encoder must be the same.")
@click.option(
    "--false-positive-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Of the threshold that `aeedge score` uses.",
)
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(run: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Write the trained RUN as a bundle, and check it against PyTorch.

    Nothing appears under the name of BUNDLE unless every limit of the parity gate holds.
    """
    from aeedge_export import export_run

    report = export_run(run, out, progress=None if as_json else note, **options)
    if as_json:
        print_json({"command": "export", **report.as_dict()})
    else:
        _show(report)


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
    say(f"parity with PyTorch over {count(report.parity.symbols, 'symbol')} of held-out images, each limit held:")
    for check in report.parity.checks:
        say(f"  {check}")
    say("next:")
    for command in report.next_commands:
        say(f"  {command}")
