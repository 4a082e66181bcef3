"""Files at URLs, such as `s3://bucket/name`: read and written with fsspec, which is imported at first use.

`location` turns what a user wrote into a `Path` or a `RemotePath`; the two share the few methods that are needed here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from .errors import AeedgeError, ArgumentError
from .files import TEMPORARY_PREFIX, NotRegularFileError, atomic_write

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)

WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "hf", "memory"})
"""Protocols whose objects appear complete or not at all; other file systems get a temporary name and a rename."""


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at a URL, with the methods of `pathlib.Path` that are needed here.

    Attributes:
        url: where it is, without a slash at the end.
    """

    url: str

    def __fspath__(self) -> str:
        """Return the URL, for messages and `os.fspath`."""
        return self.url

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, other: str | PurePath) -> RemotePath:
        """Return a path below this one."""
        return RemotePath(f"{self.url}/{PurePath(other).as_posix()}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.url)

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> RemotePath:
        """Return the path of another file in the same folder."""
        return self.parent / name

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return RemotePath(self.url.rpartition("/")[0])

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a remote folder comes with the first file in it."""

    def exists(self) -> bool:
        """Return whether there is a file or folder."""
        with self._opened() as (system, path):
            return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Return whether it is a folder; in a bucket, whether anything is below it."""
        with self._opened() as (system, path):
            return bool(system.isdir(path))

    def is_file(self) -> bool:
        """Return whether it is a file."""
        with self._opened() as (system, path):
            return bool(system.isfile(path))

    def files(self) -> list[str]:
        """Return the paths of all files below the folder, relative to it, sorted."""
        with self._opened() as (system, path):
            root = path.rstrip("/")
            return sorted(found[len(root) + 1 :] for found in system.find(path))

    def read_bytes(self, limit: int | None = None) -> bytes:
        """Return the content.

        Raises:
            NotRegularFileError: it is a folder.
            OSError: it cannot be read; with `errno.EFBIG`, it has more than `limit` bytes.
        """
        with self._opened() as (system, path):
            facts = system.info(path)
            if facts.get("type") == "directory":
                raise NotRegularFileError(errno.EISDIR, "a folder, not a regular file", self.url)
            data: bytes = b"" if _exceeds(facts.get("size"), limit) else system.cat_file(path)
            if _exceeds(facts.get("size"), limit) or _exceeds(len(data), limit):
                raise OSError(errno.EFBIG, f"more than {limit} bytes", self.url)
            return data

    def write_bytes(self, data: bytes, *, overwrite: bool = False) -> None:
        """Write a file, complete or not at all.

        Of two processes that write the same object at the same moment, the later one wins.

        Raises:
            FileExistsError: it exists and `overwrite` is false.
            OSError: it cannot be written.
        """
        with self._opened() as (system, path):
            if not overwrite and system.exists(path):
                raise FileExistsError(errno.EEXIST, "already exists", self.url)
            if WHOLE_OBJECTS.intersection(_protocols(system)):
                system.pipe_file(path, data)
            else:
                _write_and_rename(system, path, data)

    def unlink(self) -> None:
        """Remove the file."""
        with self._opened() as (system, path):
            system.rm_file(path)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system of fsspec and the path in it; translate what goes wrong."""
        protocol = self.url.partition("://")[0]
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise AeedgeError(
                f'fsspec is not installed, but {protocol}:// URLs need it; run: pip install "aeedge[remote]"'
            ) from error
        try:
            try:
                system, path = url_to_fs(self.url)
            except ImportError as error:
                raise AeedgeError(f"{self.url}: {error}, then try again") from error
            except ValueError as error:
                raise ArgumentError(f"{self.url}: {error}; expected a protocol of fsspec, such as s3") from error
            yield system, path
        except AeedgeError:
            raise
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.url) from error
        except OSError as error:
            if error.strerror and error.filename == self.url:
                raise
            raise OSError(error.errno or errno.EIO, error.strerror or _line(error), self.url) from error
        except Exception as error:  # each service has its own errors
            raise OSError(errno.EIO, _line(error), self.url) from error


Location: TypeAlias = Path | RemotePath


def is_url(text: str | os.PathLike[str] | os.PathLike[bytes]) -> bool:
    """Return whether a path is a URL."""
    return _URL.match(os.fsdecode(text)) is not None


def location(text: str | os.PathLike[str] | os.PathLike[bytes]) -> Location:
    """Return the path that a text names: a remote one for a URL, except for `file://`, which is local."""
    name = os.fsdecode(text)
    if not is_url(name):
        return Path(name)
    if name.lower().startswith("file://"):
        return Path(unquote(urlsplit(name).path))
    protocol, separator, path = name.partition("://")
    return RemotePath(f"{protocol}{separator}{path.rstrip('/')}")


def write_location(path: Location, data: bytes, *, overwrite: bool) -> None:
    """Write a file, local or remote, complete or not at all.

    Raises:
        FileExistsError: it exists and `overwrite` is false.
        OSError: it cannot be written.
    """
    if isinstance(path, RemotePath):
        path.write_bytes(data, overwrite=overwrite)
    else:
        atomic_write(path, data, overwrite=overwrite)


def _write_and_rename(system: Any, path: str, data: bytes) -> None:
    folder = posixpath.dirname(path)
    system.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"
    try:
        system.pipe_file(temporary, data)
        system.mv(temporary, path)
    except BaseException:
        with contextlib.suppress(Exception):
            system.rm_file(temporary)
        raise


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def _exceeds(size: int | None, limit: int | None) -> bool:
    return size is not None and limit is not None and size > limit


def _line(error: Exception) -> str:
    """Return an error of a service on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
