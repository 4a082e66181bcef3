"""Options that several commands share: how each is spelled, and the typed values that a command gets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


class Number(click.FloatRange):
    """A range of numbers that excludes NaN and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail as click does."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
        return number


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where networks run.

    Attributes:
        device: name of the device.
        threads: threads of the networks; None for one per core.
    """

    device: str
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class BatchOptions(DeviceOptions):
    """Options of every command that runs a codec on files.

    Attributes:
        model: bundle to use; None for the default one.
        jobs: inputs at once; None for one per core.
        force: replace existing outputs.
        skip_existing: leave existing outputs alone.
        max_pixels: largest input; None for the codec's own limit.
        as_json: print one JSON object.
    """

    model: str | None
    jobs: int | None
    force: bool
    skip_existing: bool
    max_pixels: int | None
    as_json: bool


model_option = click.option(
    "-m",
    "--model",
    metavar="BUNDLE",
    default=None,  # not its name: there may be a folder called photo here
    help="Bundle to use: a folder, an .aeb file or a shipped name.  [default: photo]",
)
device_option = click.option(
    "--device",
    metavar="NAME",
    default="cpu",
    show_default=True,
    help="cpu, cuda, cuda:N, auto (CUDA if it works, else the CPU) or provider:NAME.",
)
threads_option = click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    default=None,
    help="Threads that the networks use.  [default: one per core]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
force_option = click.option("--force", is_flag=True, help="Replace existing output.")
skip_option = click.option("--skip-existing", is_flag=True, help="Skip inputs whose output exists.")
pixels_option = click.option(
    "--max-pixels",
    metavar="N",
    type=click.IntRange(min=1),
    default=None,
    help="Refuse inputs with more than N pixels.  [default: 178956970]",
)
jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    default=None,
    help="Files to process at once; they share the cores.  [default: one per core, at most 8]",
)

CODEC_OPTIONS = (
    *(json_option, pixels_option, skip_option, force_option),
    *(jobs_option, threads_option, device_option, model_option),
)


def codec_options(function: Function) -> Function:
    """Add the options of every command that runs a codec on files; see BatchOptions."""
    for option in CODEC_OPTIONS:
        function = option(function)
    return function
