"""Output paths of a command, planned before any work; rejected if two inputs collide or an input would be lost.

The rule does not depend on what else is in the folder: `.aee` is appended when compressing (`a.jpg` gives `a.jpg.aee`,
`a.png` gives `a.png.aee`); decompressing takes it off and appends `.png` unless that is there (`a.png`, `a.jpg.png`).
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from aeedge.figures import printable
from aeedge.sources import STDIN, STREAM_SUFFIX, Source
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.files import require_writable
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.remote import Location, RemotePath, location

IMAGE_SUFFIX = ".png"

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Job:
    """One input and where its result goes; `output` None is standard output."""

    source: Source
    output: Location | None


def compressed_name(name: str) -> str:
    """Return the name of the stream of an image."""
    return name + STREAM_SUFFIX


def decompressed_name(name: str) -> str:
    """Return the name of the image of a stream, or of an image in a packed stream."""
    stem = unpacked_folder(name)
    return stem if stem.lower().endswith(IMAGE_SUFFIX) else stem + IMAGE_SUFFIX


def unpacked_folder(name: str) -> str:
    """Return the name of the folder for the images of a packed stream."""
    stem = name[: -len(STREAM_SUFFIX)] if name.lower().endswith(STREAM_SUFFIX) else name
    return stem or name


def is_folder(output: str) -> bool:
    """Whether an output, as the user wrote it, means a folder: it ends in a slash or is one."""
    return output.endswith(("/", os.sep)) or location(output).is_dir()


def is_picture_name(path: Location) -> bool:
    """Whether a name has the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def require_suffix(flag: str, path: Path, expected: str) -> None:
    """Refuse a name that does not say what will be in the file.

    Raises:
        click.UsageError: it has another suffix, or none.
    """
    if path.suffix.lower() != expected:
        raise click.UsageError(f"{flag} {printable(path)}: found {path.suffix or 'no suffix'}, expected {expected}")


def plan(sources: Sequence[Source], output: str | None, rename: Callable[[str], str]) -> list[Job]:
    """Return where each result goes.

    Args:
        sources: the inputs.
        output: what `-o` says: a file for one input, a folder, `-`, or None for "next to the input".
        rename: from the name of an input to the name of its result.

    Raises:
        click.UsageError: the output does not fit the inputs.
        ArgumentError: two inputs would be written to the same path.
    """
    single = len(sources) == 1 and not sources[0].from_folder
    if output is None:
        if not single and any(source.path is None for source in sources):
            raise click.UsageError(
                "standard input (-) among several inputs needs -o: without it, its result would go to stdout"
            )
        return distinct([_beside(source, rename) for source in sources])
    if output == STDIN:
        if not single:
            raise click.UsageError("-o - takes one input, found several; name a folder with -o")
        return [Job(sources[0], None)]
    if single and not is_folder(output):
        return [Job(sources[0], location(output))]
    folder = location(output)
    if folder.exists() and not folder.is_dir():
        reason = "the name ends in a slash" if single else "there are several inputs"
        raise click.UsageError(f"-o {printable(output)}: is a file, expected a folder because {reason}")
    if is_picture_name(folder) and not is_folder(output):
        raise click.UsageError(
            f"-o {printable(output)}: has the suffix of an image file, expected a folder for several results; "
            "add a slash if it is a folder"
        )
    if any(source.path is None for source in sources):
        raise click.UsageError("standard input has no name to use in a folder; name a file with -o")
    return distinct([Job(source, _below(folder, source, rename)) for source in sources])


def _beside(source: Source, rename: Callable[[str], str]) -> Job:
    if source.from_folder:
        raise click.UsageError("a folder needs an output folder; name it with -o")
    if source.path is None:
        return Job(source, None)
    return Job(source, source.path.with_name(rename(source.path.name)))


def _below(folder: Location, source: Source, rename: Callable[[str], str]) -> Location:
    return folder / source.relative.with_name(rename(source.relative.name))


def distinct(jobs: list[Job]) -> list[Job]:
    """Return the jobs if no two of them would write to one place.

    Raises:
        ArgumentError: two would, or an input is named twice.
    """
    first: dict[Location, Source] = {}
    for job in jobs:
        if job.output is None:
            continue
        other = first.setdefault(job.output, job.source)
        if other is not job.source and other.path == job.source.path:
            raise ArgumentError(f"{other.name} is listed twice among the inputs; list it once")
        if other is not job.source:
            raise ArgumentError(
                f"{other.name} and {job.source.name} would both be written to {printable(job.output)}; "
                "rename one, or give them different output folders"
            )
    return jobs


class OutputGuard:
    """Decides whether a place may be written to.

    Args:
        sources: every input of the command; none of them is ever written to.
        force: whether existing files may be replaced.
        skip_existing: whether existing files are left alone, silently; None where the command has no such option.
    """

    def __init__(self, sources: Iterable[Source], *, force: bool, skip_existing: bool | None) -> None:
        if force and skip_existing:
            raise click.UsageError("--force cannot be combined with --skip-existing")
        self.force = force
        self.skip_existing = skip_existing
        self._inputs = {found for source in sources if source.path and (found := identity(source.path))}

    def check_stream_name(self, flag: str, output: Location) -> None:
        """Refuse the suffix of an image for a stream.

        Raises:
            ArgumentError: it is even an input.
            click.UsageError: the suffix is that of an image.
        """
        if is_picture_name(output):
            self.spare_inputs(output)
            raise click.UsageError(
                f"{flag} {printable(output)}: found {output.suffix}, expected {STREAM_SUFFIX}: a stream is not an image"
            )

    def wants(self, output: Location) -> bool:
        """Return whether to go ahead: False for an existing output with `--skip-existing`.

        Raises:
            ArgumentError: the place holds an input, or a folder.
            AeedgeError: it holds a file, and there is no `--force`, or it cannot be written to.
        """
        if not is_taken(output):
            _require_writable(output)
            return True
        self.spare_inputs(output)
        if output.is_dir():
            raise ArgumentError(f"{printable(output)}: is a folder, expected a file or an unused name; choose another")
        if output.exists() and not output.is_file():
            return True  # a device or a FIFO, such as /dev/stdout, has nothing to lose
        if self.skip_existing:
            return False
        if not self.force:
            others = "or choose another path"
            if self.skip_existing is not None:
                others = "--skip-existing leaves it, -o names another path"
            raise AeedgeError(f"{printable(output)} exists; --force replaces it, {others}")
        _require_writable(output)
        return True

    def spare_inputs(self, output: Location) -> None:
        """Refuse an output that is an input, with an ArgumentError."""
        if identity(output) in self._inputs:
            raise ArgumentError(f"the output {printable(output)} is also an input; name another output with -o")

    def attempt(self, work: Callable[[], Outcome]) -> Outcome:
        """Do work that may find its place taken by another process since it asked; look again where that is skipped."""
        try:
            return work()
        except FileExistsError:
            if not self.skip_existing:
                raise
            return work()


def is_taken(path: Location) -> bool:
    """Return whether anything, even a broken link, has a path."""
    return path.exists() if isinstance(path, RemotePath) else os.path.lexists(path)


def _require_writable(path: Location) -> None:
    if not isinstance(path, RemotePath):  # a service says so when it is written to
        require_writable(path)


def identity(path: Location) -> tuple[int, int] | str | None:
    """Return device and inode, or the URL; None if nothing is there (or it cannot be seen)."""
    if isinstance(path, RemotePath):
        return path.url
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
