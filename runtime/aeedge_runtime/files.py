"""Files: written so that a name is absent, the old file, or the complete new one; read without ever waiting."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from .errors import AeedgeError, ArgumentError

TEMPORARY_PREFIX = ".aeedge-"
"""Start of the name of every temporary file: short whatever the final name is, hidden, and easy to recognise."""


def read_plain(path: str | os.PathLike[str], limit: int) -> bytes:
    """Bytes of a plain file. A FIFO or a device is refused rather than waited for or read without end.

    Raises:
        OSError: it cannot be read, is not a plain file, or has more than `limit` bytes.
        ValueError: a name that no file can have.
    """
    # Without O_NONBLOCK, opening a FIFO waits for a writer for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a plain file", os.fspath(path))
        if facts.st_size > limit:
            raise OSError(errno.EFBIG, f"more than {limit} bytes", os.fspath(path))
        return file.read(facts.st_size)


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
    """Writes `data` under `path`, complete or not at all, and flushed to the disk when it returns.

    Without `overwrite` an existing file is kept even when it appears while this function runs. A device or pipe is
    written to directly; a FIFO that nobody reads is refused rather than waited for. An overwritten file keeps its
    permission bits, and one behind a symbolic link is overwritten where it lies.

    Args:
        path: final name.
        data: bytes.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        OSError: it cannot be written; nothing is left behind.
    """
    mode = _existing_mode(Path(path))
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        _write_through(Path(path), data)  # the name behind /dev/stdout, a link too, may be none that can be opened
        return
    target = Path(os.path.realpath(path) if overwrite else path)
    if mode is not None and not overwrite:
        raise FileExistsError(f"{target} exists already")
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"
    try:
        try:
            _write(temporary, data, None if mode is None else stat.S_IMODE(mode))
            _publish(temporary, target, overwrite)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except BaseException as error:  # once more: Ctrl-C, or a thread's end, may have come before the first was done
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)  # nobody knows the other name
        raise
    sync_folder(target.parent)


def _existing_mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _write_through(path: Path, data: bytes | memoryview) -> None:
    # Without O_NONBLOCK, opening a FIFO waits for a reader for ever.
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
        raise FileExistsError(f"{target} exists already") from error
    except OSError:  # a file system without hard links: claim the name, then replace the claim
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            temporary.replace(target)
        except BaseException:
            target.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder to the disk, where that is possible; the files themselves are safe without."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder, and some file systems cannot flush one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
