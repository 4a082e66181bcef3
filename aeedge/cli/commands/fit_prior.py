"""`aeedge fit-prior`: a bundle with smaller streams, from the same encoder and decoder."""

from pathlib import Path

import click

from aeedge.cli.commands.export import show_report
from aeedge.cli.console import note, print_json
from aeedge.cli.options import force_option, json_option
from aeedge.cli.parameters import PATH
from aeedge.training.openmp import wait_briefly


@click.command()
@click.argument("bundle")
@click.option("--data", metavar="FOLDER", type=PATH, required=True, help="Images like those to compress.")
@click.option("-o", "--output", "out", metavar="NEW", type=PATH, required=True, help="A folder, or NAME.aeb.")
@click.option(
    "--steps", metavar="N", type=click.IntRange(min=1), default=800, show_default=True, help="Training steps."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the prior.")
@force_option
@json_option
def fit_prior(bundle: str, data: Path, out: Path, steps: int, seed: int, force: bool, as_json: bool) -> None:
    """Fit an exact prior to the latents of BUNDLE, and write a bundle whose streams are smaller.

    Encoder and decoder stay as they are. Streams of BUNDLE are not decoded by the new one.
    """
    wait_briefly()
    from aeedge_export import fit_prior as fit

    report = fit(bundle, out, data=data, steps=steps, seed=seed, force=force, progress=None if as_json else note)
    if as_json:
        print_json({"command": "fit-prior", **report.as_dict()})
    else:
        show_report(report)
