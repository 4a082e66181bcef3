"""Output of the command line: results on stdout, warnings and errors on stderr, each on one line.

Imports nothing heavy: `aeedge --help` comes through here.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from aeedge.figures import printable
from aeedge_runtime.errors import AeedgeWarning

JSON_SCHEMA = 1
"""Version of every object that `--json` prints."""


def say(text: str) -> None:
    """Print a line of the result on stdout."""
    click.echo(text)


def note(text: str) -> None:
    """Print a line about progress on stderr."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Print a `warning:` line on stderr."""
    click.echo(f"warning: {printable(text)}", err=True)


def complain(text: str) -> None:
    """Print an `error:` line on stderr."""
    click.echo(f"error: {printable(text)}", err=True)


def print_json(content: Mapping[str, Any]) -> None:
    """Print the one object of `--json` on stdout; pure ASCII, so that names in any encoding survive."""
    click.echo(json.dumps({"schema": JSON_SCHEMA, **content}, indent=2))


def write_stdout(data: bytes) -> None:
    """Write bytes to stdout.

    Raises:
        click.UsageError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal, expected a file or a pipe; name an output with -o")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError:
        drop_stdout()  # or what is left in its buffer would fail once more at the end
        raise


def drop_stdout() -> None:
    """Point stdout away from a reader that has gone or a disk that is full, so that later flushes are silent."""
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Give standard streams that the caller has closed something to be, so that no file takes their number.

    Reading or writing them then fails as an error of the operating system; what stderr gets is lost.
    """
    for number, name, mode, flags in (
        (0, "stdin", "r", os.O_WRONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, flags)
            if place != number:
                os.dup2(place, number)
                os.close(place)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


@contextmanager
def aeedge_warnings() -> Iterator[None]:
    """Print warnings of aeedge as `warning:` lines; keep those of other libraries quiet unless `python -W` asks."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, AeedgeWarning):
            warn(str(message))
        elif sys.warnoptions:
            note(f"{category.__name__}: {printable(str(message))}")

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", category=AeedgeWarning)
        warnings.showwarning = show
        yield
