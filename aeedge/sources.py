"""Finds the files to read: the ones named, those below the folders and URLs named, or standard input."""

import errno
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aeedge.figures import count, printable
from aeedge_runtime.binary import read_source
from aeedge_runtime.errors import AeedgeWarning, ArgumentError, InputError, LimitError
from aeedge_runtime.files import TEMPORARY_PREFIX, NotRegularFileError
from aeedge_runtime.remote import Location, RemotePath, location

STDIN = "-"

STREAM_SUFFIX = ".aee"

MAX_INPUT_BYTES = (1 << 31) - 1
"""Bytes of one input: no stream is larger, and an image file of that size is beyond every limit of pixels."""


@dataclass(frozen=True)
class Source:
    """One file to read.

    Attributes:
        path: where it is; None is standard input.
        relative: its place below an output folder.
        from_folder: whether it was found in a folder rather than named.
    """

    path: Location | None
    relative: Path
    from_folder: bool = False

    @property
    def name(self) -> str:
        """The name to show, on one line."""
        return "standard input" if self.path is None else printable(self.path)

    def read(self) -> bytes:
        """Return the content.

        Raises:
            InputError: it is missing, unreadable, or not a regular file.
            LimitError: it has more than MAX_INPUT_BYTES.
        """
        try:
            if self.path is not None:
                return read_source(self.path, MAX_INPUT_BYTES, self.name)
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        except NotRegularFileError as error:
            raise InputError(f"{self.name}: found {error.strerror}; read a pipe from standard input, with -") from error
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise LimitError(self._too_large()) from error
            raise InputError(
                f"{self.name}: cannot be read: {error.strerror}; name an existing, readable file"
            ) from error
        if len(data) > MAX_INPUT_BYTES:
            raise LimitError(self._too_large())
        return data

    def _too_large(self) -> str:
        return f"{self.name}: more than {MAX_INPUT_BYTES} bytes; no image or stream that can be read is that large"


def find_sources(arguments: Sequence[str], suffixes: frozenset[str]) -> list[Source]:
    """Return what the arguments name, folders replaced by the files in them that have one of the suffixes.

    The place below an output folder is the file's name; for files of a folder, the way from that folder, which starts
    with the folder's own name only when more than one argument is given.

    Args:
        arguments: files, folders, URLs of either, or `-`, as the user wrote them.
        suffixes: lower-case suffixes of the files to take from folders.

    Raises:
        ArgumentError: standard input is named twice.
        InputError: a folder holds no such file.
    """
    if list(arguments).count(STDIN) > 1:
        raise ArgumentError("- stands for standard input and can be named only once")
    sources: list[Source] = []
    for argument in arguments:
        path = location(argument)
        if argument == STDIN:
            sources.append(Source(None, Path("stdin")))
        elif isinstance(path, RemotePath) and path.is_dir():
            sources.extend(_in_remote_folder(path, Path(path.name) if len(arguments) > 1 else Path(), suffixes))
        elif isinstance(path, Path) and path.is_dir():
            prefix = Path(path.resolve().name) if len(arguments) > 1 else Path()
            sources.extend(_in_folder(path, prefix, suffixes))
        else:
            sources.append(Source(path, Path(path.name)))
    return sources


@dataclass(frozen=True)
class Listing:
    """The files below a folder, in the order of the bytes of their names.

    Attributes:
        folder: the folder.
        paths: files that have one of the suffixes, then folders that cannot be listed: these fail when read.
        others: number of files that have another suffix.
        linked: links to folders, which are not followed.
        suffixes: the suffixes.
    """

    folder: Path
    paths: Sequence[Path]
    others: int
    linked: Sequence[Path]
    suffixes: frozenset[str]

    @property
    def left_out(self) -> list[str]:
        """A sentence about each kind of entry that is not in `paths`."""
        name, found = printable(self.folder), []
        if self.linked:
            links = f"{count(len(self.linked), 'linked folder')} left out ({printable(self.linked[0])})"
            found.append(f"{name}: {links}; name them as separate inputs")
        if self.others:
            found.append(f"{name}: {count(self.others, 'file')} left out, not named {_named(self.suffixes)}")
        return found


def list_folder(folder: Path, suffixes: frozenset[str]) -> Listing:
    """Return the files below a folder that have one of some lower-case suffixes."""
    found: list[Path] = []
    others = 0
    unreadable: list[Path] = []
    linked: list[Path] = []
    for path in _walk(folder, unreadable, linked):
        if path.suffix.lower() in suffixes and (path.is_file() or not path.exists()):  # a link to nothing fails later
            found.append(path)
        else:
            others += 1
    return Listing(folder, [*found, *unreadable], others, linked, suffixes)


def _in_folder(folder: Path, prefix: Path, suffixes: frozenset[str]) -> list[Source]:
    listing = list_folder(folder, suffixes)
    if not listing.paths:
        others = count(listing.others, "other file") if listing.others else "no file"
        raise InputError(f"{printable(folder)}: found {others}, expected files named {_named(suffixes)}")
    for sentence in listing.left_out:
        warnings.warn(sentence, AeedgeWarning, stacklevel=3)
    return [Source(path, prefix / path.relative_to(folder), from_folder=True) for path in listing.paths]


def _in_remote_folder(folder: RemotePath, prefix: Path, suffixes: frozenset[str]) -> list[Source]:
    names = folder.files()
    wanted = [name for name in names if PurePosixPath(name).suffix.lower() in suffixes and not _is_temporary(name)]
    if not wanted:
        raise InputError(f"{folder}: found {count(len(names), 'other file')}, expected files named {_named(suffixes)}")
    if left_out := len(names) - len(wanted):
        sentence = f"{folder}: {count(left_out, 'file')} left out, not named {_named(suffixes)}"
        warnings.warn(sentence, AeedgeWarning, stacklevel=3)
    return [Source(folder / name, prefix / name, from_folder=True) for name in wanted]


def _is_temporary(name: str) -> bool:
    return any(part.startswith(TEMPORARY_PREFIX) for part in name.split("/"))


def _named(suffixes: frozenset[str]) -> str:
    return " ".join(sorted(suffixes))


def _walk(folder: Path, unreadable: list[Path], linked: list[Path]) -> Iterator[Path]:
    """Yield everything below a folder that is not a folder, in the order of the bytes of the names.

    Links to folders are not followed but added to `linked`, folders that cannot be listed to `unreadable`. What a
    killed run of ours left behind under a temporary name is no input.
    """
    for place, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename))):
        folders[:] = sorted((name for name in folders if not name.startswith(TEMPORARY_PREFIX)), key=os.fsencode)
        linked.extend(Path(place, name) for name in folders if Path(place, name).is_symlink())
        yield from (
            Path(place, name) for name in sorted(files, key=os.fsencode) if not name.startswith(TEMPORARY_PREFIX)
        )
