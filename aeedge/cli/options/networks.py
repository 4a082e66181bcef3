"""Options for networks from elsewhere: Python files and pairs of ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aeedge.cli.options.parameters import PATH, Parsed, Whole, positive
from aeedge.figures import printable

if TYPE_CHECKING:
    from aeedge_export.networks.trainable import TrainableNetwork
    from aeedge_export.networks.user_code import NetworkFile

Function = TypeVar("Function", bound=Callable[..., Any])


def rows_and_columns(text: str) -> tuple[int, int]:
    """Parse ROWSxCOLUMNS."""
    rows, _, columns = text.lower().partition("x")
    return positive(rows), positive(columns)


def name_or_number(text: str) -> int | str:
    """Parse the name or position of an output."""
    return int(text) if text.isdecimal() else text


SIZE = Parsed(rows_and_columns, "ROWSxCOLUMNS, such as 256x256")
CHOICE = Parsed(name_or_number, "a name or a number")


@dataclass(frozen=True, kw_only=True)
class AdaptationOptions:
    """How to use a network in a Python file.

    Attributes:
        weights: weights for a network in a Python file.
        encode: attribute or method that encodes.
        decode: attribute or method that decodes.
        pixels: numbers for black and white; None for unit.
        latent: output of the encoder to use.
        decoded: output of the decoder to use.
        size: the only size that the network takes, rows and columns.
        tile: size of independent tiles, rows and columns.
        whole: largest number of pixels, for a network that is never tiled.
    """

    weights: Path | None
    encode: str | None
    decode: str | None
    pixels: str | None
    latent: int | str | None
    decoded: int | str | None
    size: tuple[int, int] | None
    tile: tuple[int, int] | None
    whole: int | None

    @property
    def of_python_files(self) -> dict[str, object]:
        """Flags that apply only to a network in a Python file, with their values."""
        return {"--weights": self.weights, "--encode": self.encode, "--decode": self.decode}

    @property
    def of_networks(self) -> dict[str, object]:
        """Flags that apply only to networks from elsewhere, with their values."""
        adapted = {"--pixels": self.pixels, "--latent": self.latent, "--decoded": self.decoded, "--size": self.size}
        return self.of_python_files | adapted | {"--tile": self.tile, "--whole": self.whole}

    @property
    def adaptation(self) -> dict[str, Any]:
        """Keyword arguments of `adapt`."""
        found = {"pixels": self.pixels or "unit", "encode": self.encode, "decode": self.decode, "latent": self.latent}
        return found | {"output": self.decoded, "size": self.size, "tile": self.tile, "whole": self.whole}


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(AdaptationOptions):
    """How to use a network in a Python file, or two ONNX files.

    Attributes:
        encoder: ONNX graph from image to latent.
        decoder: ONNX graph from latent to image.
    """

    encoder: Path | None
    decoder: Path | None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: one graph of a pair is missing, or a pair has options of Python files.
        """
        if bool(self.encoder) != bool(self.decoder):
            raise click.UsageError("--encoder and --decoder need each other")
        if self.onnx_pair:
            for flag, value in self.of_python_files.items():
                if value is not None:
                    raise click.UsageError(f"{flag} needs FILE.py:NAME and cannot be combined with --encoder")

    @property
    def onnx_pair(self) -> tuple[Path, Path] | None:
        """The two ONNX files, if they are given."""
        return (self.encoder, self.decoder) if self.encoder and self.decoder else None

    @property
    def adaptation(self) -> dict[str, Any]:
        """Keyword arguments of `adapt` or, for a pair, `adapt_onnx`."""
        found = super().adaptation
        if self.onnx_pair:
            del found["encode"], found["decode"]
        return found


def is_network_file(source: str) -> bool:
    """Whether a source has the form FILE.py:NAME."""
    return source.rpartition(":")[0].endswith(".py")


def network_file(source: str) -> NetworkFile:
    """Return the network that FILE.py:NAME names, not loaded yet.

    Raises:
        click.UsageError: the source has another form.
    """
    from aeedge_export.networks.user_code import NetworkFile

    file = NetworkFile.parse(source)
    if file is None:
        raise click.UsageError(f"found {printable(source)}, expected FILE.py:NAME")
    return file


def network_of_run(source: str, run: Path) -> TrainableNetwork:
    """Return the own network of a run, not loaded yet, with the options that the run was trained with.

    Raises:
        click.UsageError: `source` does not have the form FILE.py:NAME.
        InputError: there is no run.
    """
    from aeedge.training.run.folder import read_config
    from aeedge_export.networks.trainable import TrainableNetwork

    return TrainableNetwork.of_run(network_file(source), read_config(run).model)


ONNX_OPTIONS = (
    click.option("--encoder", metavar="E.onnx", type=PATH, help="ONNX graph from image to latent; needs --decoder."),
    click.option("--decoder", metavar="D.onnx", type=PATH, help="ONNX graph from latent to image."),
)

ADAPTATION_OPTIONS = (
    click.option("--weights", metavar="FILE", type=PATH, help="Weights of FILE.py:NAME: .safetensors or a state_dict."),
    click.option(
        "--pixels",
        metavar="RANGE",
        help="Values of black and white that the network expects: unit (0..1), signed (-1..1), bytes (0..255), "
        "imagenet or LOW..HIGH.  [default: unit]",
    ),
    click.option("--encode", metavar="NAME", help="Attribute or method that encodes.  [default: detected]"),
    click.option("--decode", metavar="NAME", help="Attribute or method that decodes.  [default: detected]"),
    click.option("--latent", metavar="NAME|N", type=CHOICE, help="Output of the encoder to use.  [default: detected]"),
    click.option("--decoded", metavar="NAME|N", type=CHOICE, help="Output of the decoder to use.  [default: detected]"),
    click.option("--size", metavar="RxC", type=SIZE, help="The only image size that the network takes."),
    click.option("--tile", metavar="RxC", type=SIZE, help="Run on independent tiles of this size."),
    click.option("--whole", metavar="N", type=Whole(), help="Never tile; refuse images with more than N pixels."),
)


def adaptation_options(function: Function) -> Function:
    """Add the options of a network in a Python file; see AdaptationOptions."""
    return _with(ADAPTATION_OPTIONS, function)


def network_options(function: Function) -> Function:
    """Add the options of a network from elsewhere; see NetworkOptions."""
    return _with((*ONNX_OPTIONS, *ADAPTATION_OPTIONS), function)


def _with(options: tuple[Callable[[Function], Function], ...], function: Function) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
