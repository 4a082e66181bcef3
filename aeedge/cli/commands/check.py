"""`aeedge check`: checks whether a network can be exported, and shows what was found in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options.networks import NetworkOptions, network_file, network_options
from aeedge.cli.options.parameters import PATH
from aeedge.cli.options.shared import json_option
from aeedge.training.openmp import wait_briefly


@dataclass(frozen=True, kw_only=True)
class CheckOptions(NetworkOptions):
    """Options of `aeedge check`.

    Attributes:
        network: FILE.py:NAME; None for a pair of ONNX files.
        data: folder of images, or None.
        as_json: print one JSON object.
    """

    network: str | None
    data: Path | None
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        super().__post_init__()
        if (self.onnx_pair is None) == (self.network is None):
            raise click.UsageError("name either FILE.py:NAME or --encoder and --decoder")


@click.command()
@click.argument("network", metavar="[FILE.py:NAME]", required=False)
@click.option("--data", metavar="FOLDER", type=PATH, help="Images to check the pixel range with.")
@network_options
@json_option
def check(**values: Any) -> None:
    """Run a network once, and show what an export would make of it, or why it cannot be exported.

    NAME is a class, function or object in FILE.py, which this command runs. Name a pair of ONNX files with --encoder
    and --decoder instead.
    """
    options = CheckOptions(**values)
    wait_briefly()
    from aeedge_export.network_check import check_network

    facts = check_network(_adapted(options), options.data)
    if options.as_json:
        print_json({"command": "check", **facts})
        return
    for name, value in facts.items():
        say(f"{name.replace('_', ' '):18}{value}")


def _adapted(options: CheckOptions) -> Any:
    from aeedge_export import adapt, adapt_onnx
    from aeedge_export.networks.user_code import load_weights

    if options.onnx_pair:
        return adapt_onnx(*options.onnx_pair, **options.adaptation)
    network = network_file(options.network or "").load()
    if options.weights is not None:
        load_weights(network, options.weights)
    return adapt(network, **options.adaptation)
