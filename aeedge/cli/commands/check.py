"""`aeedge check`: can this network be exported, and what was found in it?"""

from pathlib import Path
from typing import Any

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.network_options import adaptation, network_options, onnx_pair
from aeedge.cli.options import json_option
from aeedge.cli.parameters import PATH
from aeedge.training.openmp import wait_briefly


@click.command()
@click.argument("network", metavar="[FILE.py:NAME]", required=False)
@click.option("--data", metavar="FOLDER", type=PATH, help="Images to check the pixel range on.")
@network_options
@json_option
def check(
    network: str | None, data: Path | None, encoder: Path | None, decoder: Path | None, as_json: bool, **options: Any
) -> None:
    """Run a network once, and show what an export would make of it, or what stops one.

    NAME is a class, function or object in FILE.py, which this command runs. An ONNX pair is named with --encoder and
    --decoder.
    """
    wait_briefly()
    from aeedge_export import adapt, adapt_onnx
    from aeedge_export.network_check import check_network
    from aeedge_export.networks.adapted import AdaptedAutoencoder
    from aeedge_export.networks.user_code import NetworkFile, load_weights

    pair = onnx_pair(encoder, decoder)
    model: AdaptedAutoencoder
    if (pair is None) == (network is None):
        raise click.UsageError("expected either FILE.py:NAME or --encoder and --decoder")
    if pair is not None:
        model = adapt_onnx(*pair, **adaptation(options, onnx=True))
    else:
        file = NetworkFile.parse(network or "")
        if file is None:
            raise click.UsageError(f"found {network}, expected FILE.py:NAME")
        loaded = file.load()
        if options["weights"] is not None:
            load_weights(loaded, options["weights"])
        model = adapt(loaded, **adaptation(options, onnx=False))
    facts = check_network(model, data)
    if as_json:
        print_json({"command": "check", **facts})
        return
    for name, value in facts.items():
        say(f"{name.replace('_', ' '):18}{value}")
