"""Durable writing of files and folders, and reading that never waits.

A name that this module publishes is absent, the old content, or the complete new one, whatever interrupts the process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import AeedgeError, ArgumentError

TEMPORARY_PREFIX = ".aeedge-"
"""Start of the name of every temporary file: short whatever the final name is, hidden, and easy to recognize."""

_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFREG: "a file"}


class NotRegularFileError(OSError):
    """A path leads to a FIFO, a device, a socket or a folder; `strerror` names which."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; refuse a FIFO or a device instead of waiting for it.

    Raises:
        NotRegularFileError: it is not a regular file.
        OSError: it cannot be opened.
        ValueError: a name that no file can have.
    """
    # Without O_NONBLOCK, opening a FIFO waits until a writer opens it too.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotRegularFileError(errno.EINVAL, f"{kind_of(mode)}, not a regular file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises:
        OSError: as for `open_regular`; with `errno.EFBIG`, the file is larger than `limit`.
        ValueError: a name that no file can have.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(errno.EFBIG, f"more than {limit} bytes", os.fspath(path))
        return file.read(size)


def reason(error: BaseException) -> str:
    """Return why a file cannot be used, without its name, which the caller knows better."""
    return getattr(error, "strerror", None) or str(error)


def kind_of(mode: int) -> str:
    """Return what a file mode stands for, with its article."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check, before any work, that a file or folder can be written under a name; missing parents can be made.

    Raises:
        ArgumentError: a parent of the name is a file.
        AeedgeError: the folder is not writable.
    """
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ArgumentError(f"{os.fspath(path)}: {folder} is a file, not a folder; choose another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AeedgeError(f"{os.fspath(path)}: {folder} is not writable; choose another path")


def atomic_write(path: str | os.PathLike[str], data: bytes | memoryview, *, overwrite: bool = False) -> None:
    """Write `data` to `path`, complete or not at all; it is on the disk when the call returns.

    Without `overwrite`, an existing file is kept even when it appears while this function runs. A device or pipe is
    written to directly; a FIFO without a reader is refused rather than waited for. An overwritten file keeps its
    permission bits, and a symbolic link stays a link: its target is overwritten.

    Args:
        path: final name.
        data: content.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        OSError: it cannot be written; nothing is left behind.
    """
    mode = _existing_mode(Path(path))
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        _write_through(Path(path), data)  # resolving /dev/stdout may give a name that cannot be opened
        return
    target = Path(os.path.realpath(path) if overwrite else path)
    if mode is not None and not overwrite:
        raise FileExistsError(f"{target} already exists")
    temporary = _temporary(target)
    try:
        with _removed(temporary):
            _write(temporary, data, None if mode is None else stat.S_IMODE(mode))
            _publish(temporary, target, overwrite)
    except OSError as error:
        if error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)  # the caller does not know the temporary name
        raise
    sync_folder(target.parent)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path for a library that writes files itself; the file is renamed when the block ends.

    A file of that name is replaced. Otherwise as `atomic_write`.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    with _removed(temporary):
        yield temporary
        with temporary.open("rb+") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        temporary.replace(target)
    sync_folder(target.parent)


@contextlib.contextmanager
def publish_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that takes the name `folder` when the block ends; an error leaves what was there.

    Args:
        folder: final name; a symbolic link stays a link.
        replace: replace an existing folder. It is moved aside first, and back if anything fails.

    Raises:
        FileExistsError: the folder exists and `replace` is false.
        OSError: it cannot be written; nothing is left behind.
    """
    target = Path(os.path.realpath(folder))
    if not replace:
        _refuse_existing(target)
    temporary = _temporary(target)
    with _removed(temporary):
        temporary.mkdir(parents=True)
        yield temporary
        sync_folder(temporary)
        if replace and target.exists():
            _replace_folder(temporary, target)
        else:
            _rename_folder(temporary, target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk where the system can; file contents are safe without."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder, and some file systems cannot flush one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary(target: Path) -> Path:
    return target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"


@contextlib.contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Remove a temporary file or folder at the end if it is still there."""
    with contextlib.ExitStack() as stack:
        for _ in range(2):  # a second Ctrl-C may interrupt the first removal
            stack.callback(_remove, path)
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _existing_mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _write_through(path: Path, data: bytes | memoryview) -> None:
    # Without O_NONBLOCK, opening a FIFO waits until a reader opens it too.
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "wb") as file:
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(descriptor, True)
        file.write(data)


def _write(path: Path, data: bytes | memoryview, mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
    elif os.name == "nt":
        temporary.rename(target)  # fails there when the target exists
    else:
        _link(temporary, target)


def _link(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
        temporary.unlink()
    except FileExistsError as error:
        raise FileExistsError(f"{target} already exists") from error
    except OSError:  # a file system without hard links: claim the name, then replace the claim
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            temporary.replace(target)
        except BaseException:
            target.unlink()
            raise


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(f"{target} already exists")


def _rename_folder(temporary: Path, target: Path) -> None:
    _refuse_existing(target)  # renaming would replace an empty folder
    try:
        temporary.rename(target)
    except OSError as error:
        if os.path.lexists(target):  # made by another process meanwhile
            raise FileExistsError(f"{target} already exists") from error
        raise


def _replace_folder(temporary: Path, target: Path) -> None:
    aside = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.old"
    try:
        target.rename(aside)
        temporary.rename(target)
    except BaseException:  # Ctrl-C too must leave one of the two in place
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
