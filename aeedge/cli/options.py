"""Options that several commands share, spelled once."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A range of numbers, of which NaN and infinity are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail as click does."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
        return number


model_option = click.option(
    "-m",
    "--model",
    metavar="BUNDLE",
    default=None,  # not its name: a folder called so may lie here
    help="A bundle's folder, .aeb file, or the name of a shipped one.  [default: photo, as shipped]",
)
device_option = click.option(
    "--device",
    metavar="NAME",
    default="cpu",
    show_default=True,
    help="cpu, cuda, cuda:N, auto (which may fall back) or provider:NAME.",
)
threads_option = click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    default=None,
    help="Threads of the networks.  [default: one per core]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
force_option = click.option("--force", is_flag=True, help="Replace existing outputs.")
skip_option = click.option("--skip-existing", is_flag=True, help="Leave existing outputs alone and go on.")
pixels_option = click.option(
    "--max-pixels",
    metavar="N",
    type=click.IntRange(min=1),
    default=None,
    help="Refuse inputs of more pixels.  [default: 178956970]",
)


jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    default=None,
    help="Inputs at once; they share the cores.  [default: one per core, at most 8]",
)


CODEC_OPTIONS = (
    *(json_option, pixels_option, skip_option, force_option),
    *(jobs_option, threads_option, device_option, model_option),
)


def codec_options(function: Function) -> Function:
    """Add the options of every command that runs a codec on files."""
    for option in CODEC_OPTIONS:
        function = option(function)
    return function
