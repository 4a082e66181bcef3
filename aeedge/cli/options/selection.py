"""The images that a command works on: files and folders, or a data set."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aeedge.cli.console import complain
from aeedge.cli.errors import explain
from aeedge.cli.options.parameters import Whole
from aeedge.cli.options.shared import DeviceOptions
from aeedge.figures import printable, spread, with_name
from aeedge.sources import STDIN, Source, find_sources
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.remote import is_url

if TYPE_CHECKING:
    from aeedge.applications.images import NamedImage

Function = TypeVar("Function", bound=Callable[..., Any])

DATASETS = ("mnist", "fashion-mnist", "cifar10", "stl10", "synthetic", "synthetic-photos")


@dataclass(frozen=True, kw_only=True)
class SelectionOptions(DeviceOptions):
    """Options of commands that run a bundle on a set of images; either images or data is given.

    Attributes:
        bundle: folder, .aeb file or name.
        images: files and folders.
        data: data set, or folder of images.
        data_dir: folder of the data set's files.
        split: part of the data set; None for test.
        limit: largest number of images.
        force: replace existing files.
        as_json: print one JSON object.
    """

    bundle: str
    images: tuple[str, ...]
    data: str | None
    data_dir: str | None
    split: str | None
    limit: int | None
    force: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if self.images and self.data:
            raise click.UsageError("images cannot be combined with --data")
        if not self.images and not self.data:
            raise click.UsageError("no images; name files or folders, or use --data NAME|FOLDER")
        if self.data and not self.dataset and not is_url(self.data) and not os.path.lexists(self.data):
            raise click.UsageError(
                f"--data: found {printable(self.data)}, expected a folder or one of {', '.join(DATASETS)}"
            )
        for flag, value in (("--data-dir", self.data_dir), ("--split", self.split)):
            if value is not None and not self.dataset:
                raise click.UsageError(f"{flag} needs a data set, named with --data")

    @property
    def dataset(self) -> str | None:
        """Name of the data set; None for files."""
        return self.data if self.data in DATASETS and not Path(self.data).is_dir() else None


def data_options(function: Function) -> Function:
    """Add the options of every command that reads a set of images; see SelectionOptions."""
    options = (
        click.option("--data", metavar="NAME|FOLDER", help=f"{', '.join(DATASETS)}, or a folder of images."),
        click.option("--data-dir", metavar="DIR", help="Folder of the data set's files.  [default: data]"),
        click.option("--split", type=click.Choice(["test", "train"]), help="Part of the data set.  [default: test]"),
        click.option(
            "--limit",
            metavar="N",
            type=Whole(),
            help="Use at most N images: the first of a data set, or files spread evenly over all.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


class Selection:
    """The images that a command's options select.

    Args:
        options: those of the command.

    Attributes:
        sources: the files; none for a data set.
        failures: the files that could not be read, as `--json` shows them: input, error, exit_code.
        taken: number of images that were handed out.
    """

    def __init__(self, options: SelectionOptions) -> None:
        self._options = options
        files = options.images or (options.data or "",)
        self.sources: list[Source] = [] if options.dataset else find_sources(files, IMAGE_SUFFIXES)
        self.failures: list[dict[str, Any]] = []
        self.taken = 0

    def images(self, channels: int) -> "Iterator[NamedImage]":
        """Yield the images; a file that cannot be read is reported and left out."""
        from aeedge.applications.images import Split, dataset_images, file_images, limited

        options = self._options
        if options.dataset:
            split: Split = "train" if options.split == "train" else "test"
            found = dataset_images(options.dataset, channels, options.data_dir or "data", split)
        else:
            chosen = [self.sources[index] for index in spread(len(self.sources), options.limit)]
            found = file_images(chosen, channels, self._failed)
        for image in limited(found, options.limit):
            self.taken += 1
            yield image

    @property
    def most(self) -> int | None:
        """The largest possible number of images; None for a data set without `--limit`."""
        numbers = [number for number in (len(self.sources), self._options.limit) if number]
        return min(numbers, default=None)

    @property
    def exit_code(self) -> int:
        """0, the code of the only input if it failed, or 1 if some of several did."""
        if not self.failures:
            return 0
        code: int = self.failures[0]["exit_code"]
        return code if len(self.sources) == 1 else 1

    def _failed(self, source: Source, error: Exception) -> None:
        message, code = explain(error)
        complain(with_name(source.name, message))
        name = os.fspath(source.path) if source.path else STDIN
        self.failures.append({"input": name, "error": message, "exit_code": code})
