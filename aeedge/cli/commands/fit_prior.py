"""`aeedge fit-prior`: makes a bundle with smaller streams from the same encoder and decoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aeedge.cli.commands.export import show_report
from aeedge.cli.console import note, print_json
from aeedge.cli.options.parameters import PATH, Whole
from aeedge.cli.options.shared import force_option, json_option
from aeedge.training.openmp import wait_briefly


@dataclass(frozen=True, kw_only=True)
class FitPriorOptions:
    """Options of `aeedge fit-prior`.

    Attributes:
        bundle: folder, .aeb file or name.
        data: folder of images.
        output: bundle to write.
        steps: training steps.
        seed: random seed.
        force: replace an existing bundle.
        as_json: print one JSON object.
    """

    bundle: str
    data: Path
    output: Path
    steps: int
    seed: int
    force: bool
    as_json: bool


@click.command()
@click.argument("bundle")
@click.option("--data", metavar="FOLDER", type=PATH, required=True, help="Images like those to compress.")
@click.option("-o", "--output", metavar="NEW", type=PATH, required=True, help="Bundle to write: a folder, or NAME.aeb.")
@click.option("--steps", metavar="N", type=Whole(), default=800, show_default=True, help="Training steps.")
@click.option("--seed", metavar="N", type=Whole(0), default=0, show_default=True, help="Random seed.")
@force_option
@json_option
def fit_prior(**values: Any) -> None:
    """Fit an exact prior to the latents of BUNDLE, and write a bundle whose streams are smaller.

    Encoder and decoder stay the same, but the new bundle cannot decode streams of BUNDLE.
    """
    options = FitPriorOptions(**values)
    wait_briefly()
    from aeedge_export import fit_prior as fit

    report = fit(
        options.bundle,
        options.output,
        data=options.data,
        steps=options.steps,
        seed=options.seed,
        force=options.force,
        progress=None if options.as_json else note,
    )
    if options.as_json:
        print_json({"command": "fit-prior", **report.as_dict()})
    else:
        show_report(report)
