"""Options for networks from elsewhere: Python files and ONNX pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aeedge.cli.parameters import PATH

Function = TypeVar("Function", bound=Callable[..., Any])


class Size(click.ParamType):
    """Rows and columns, as in 256x256."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return two numbers above 0, or fail as click does."""
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
            self.fail(f"found {value}, expected ROWSxCOLUMNS, as in 256x256", param, ctx)
        return int(parts[0]), int(parts[1])


OF_TORCH = ("weights", "encode", "decode")
"""Options that only a network in a Python file has."""

OF_NETWORKS = (*OF_TORCH, "pixels", "latent", "size", "tile", "whole")
"""Options that runs and bundles do not have."""

NETWORK_OPTIONS = (
    click.option("--encoder", metavar="E.onnx", type=PATH, help="ONNX graph from image to latent, with --decoder."),
    click.option("--decoder", metavar="D.onnx", type=PATH, help="ONNX graph from latent to image."),
    click.option("--weights", metavar="FILE", type=PATH, help="Weights of FILE.py:NAME: .safetensors or a state_dict."),
    click.option(
        "--pixels",
        metavar="RANGE",
        default="unit",
        show_default=True,
        help="Numbers for black and white: unit (0..1), signed (-1..1), bytes (0..255), imagenet or LOW..HIGH.",
    ),
    click.option("--encode", metavar="NAME", help="Attribute or method that encodes.  [default: found]"),
    click.option("--decode", metavar="NAME", help="Attribute or method that decodes.  [default: found]"),
    click.option("--latent", metavar="NAME|N", help="Output of the encoder to use.  [default: found]"),
    click.option("--size", metavar="RxC", type=Size(), help="The only image size that the network takes."),
    click.option("--tile", metavar="RxC", type=Size(), help="Run on independent tiles of this size."),
    click.option("--whole", metavar="N", type=click.IntRange(min=1), help="Never tile; refuse images above N pixels."),
)


def network_options(function: Function) -> Function:
    """Add the options of a network from elsewhere."""
    for option in reversed(NETWORK_OPTIONS):
        function = option(function)
    return function


def latent_choice(text: str | None) -> int | str | None:
    """Return which output is the latent: a position or a name."""
    return int(text) if text is not None and text.isdecimal() else text


def adaptation(options: dict[str, Any], *, onnx: bool) -> dict[str, Any]:
    """Return the options that adapt a network, as `adapt` or `adapt_onnx` take them.

    Raises:
        click.UsageError: an option for the other kind of network.
    """
    found = {name: options[name] for name in OF_NETWORKS if name != "weights"}
    found["latent"] = latent_choice(found["latent"])
    if onnx:
        for name in OF_TORCH:
            if options[name] is not None:
                raise click.UsageError(f"--{name} is for FILE.py:NAME and cannot be combined with --encoder")
            found.pop(name, None)
    return found


def onnx_pair(encoder: Path | None, decoder: Path | None) -> tuple[Path, Path] | None:
    """Return the two files of an ONNX pair, None if neither is given.

    Raises:
        click.UsageError: one of the two is missing.
    """
    if encoder is not None and decoder is not None:
        return encoder, decoder
    if encoder is not None or decoder is not None:
        raise click.UsageError("--encoder and --decoder go together; give both")
    return None
