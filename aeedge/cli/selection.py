"""The options that say which images a command works on, and what they mean."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from aeedge.cli.console import complain
from aeedge.cli.errors import explain
from aeedge.figures import with_name
from aeedge.sources import STDIN, Source, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

Function = TypeVar("Function", bound=Callable[..., Any])

DATASETS = ("mnist", "fashion-mnist", "cifar10", "stl10", "synthetic", "synthetic-photos")


def data_options(function: Function) -> Function:
    """Add the options of every command that reads a set of images."""
    options = (
        click.option("--data", metavar="NAME|FOLDER", help=f"{', '.join(DATASETS)}, or a folder of images."),
        click.option("--data-dir", metavar="DIR", help="Where data sets lie.  [default: data]"),
        click.option("--split", type=click.Choice(["test", "train"]), help="Of a data set.  [default: test]"),
        click.option("--count", type=click.IntRange(min=1), help="At most so many images; of files, spread over all."),
    )
    for option in reversed(options):
        function = option(function)
    return function


class Selection:
    """The images that a command was told to work on.

    Args:
        arguments: files and folders.
        options: what `data_options` gave.

    Raises:
        click.UsageError: neither images nor `--data`, or both.

    Attributes:
        sources: the files; none for a data set.
        failures: the files that could not be read, as `--json` shows them: input, error, exit_code.
        taken: images that were handed out.
    """

    def __init__(self, arguments: Sequence[str], options: Mapping[str, Any]) -> None:
        data = options["data"]
        if bool(arguments) == bool(data):
            found = "images and --data" if data else "no images"
            raise click.UsageError(f"found {found}, expected images, a folder of them, or --data NAME|FOLDER")
        self._dataset = data if data in DATASETS and not Path(data).is_dir() else None
        self._options = options
        if data and not self._dataset and not os.path.lexists(data):
            raise click.UsageError(f"--data: found {data}, expected a folder or one of {', '.join(DATASETS)}")
        for name in ("data_dir", "split"):
            if options[name] is not None and not self._dataset:
                flag = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{flag}: found files, expected a data set named by --data with it")
        files = arguments or [data]
        self.sources: list[Source] = [] if self._dataset else find_sources(files, IMAGE_SUFFIXES)
        self.failures: list[dict[str, Any]] = []
        self.taken = 0

    def images(self, channels: int) -> Iterator[Any]:
        """Yield the images as `aeedge.applications.images.NamedImage`; a file that is none is named and left out."""
        from aeedge.applications.images import Split, dataset_images, file_images, limited
        from aeedge.figures import spread

        limit = self._options["count"]
        if self._dataset:
            split: Split = self._options["split"] or "test"
            found = dataset_images(self._dataset, channels, self._options["data_dir"] or "data", split)
        else:
            chosen = [self.sources[index] for index in spread(len(self.sources), limit)]
            found = file_images(chosen, channels, self._failed)
        for image in limited(found, limit):
            self.taken += 1
            yield image

    @property
    def most(self) -> int | None:
        """How many images there are at most; None for a data set without `--count`."""
        numbers = [number for number in (len(self.sources), self._options["count"]) if number]
        return min(numbers, default=None)

    @property
    def exit_code(self) -> int:
        """0, the code of the only input that failed, or 1 where some did."""
        if not self.failures:
            return 0
        code: int = self.failures[0]["exit_code"]
        return code if len(self.sources) == 1 else 1

    def _failed(self, source: Source, error: Exception) -> None:
        message, code = explain(error)
        complain(with_name(source.name, message))
        name = os.fspath(source.path) if source.path else STDIN
        self.failures.append({"input": name, "error": message, "exit_code": code})
