"""Storage of a bundle's files: a folder or a stored zip. Reads are bounded, and never follow a FIFO or a device."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from typing import Protocol

from ..binary import read_source
from ..errors import BundleError, ModelNotFoundError
from ..hub import fetch_bundle, is_hub_bundle
from ..remote import Location, RemotePath
from .manifest import FILE_NAME, MANIFEST, MAX_FILE_BYTES, MAX_MANIFEST_BYTES

MAX_FILES = 10_000
"""Entries of a zip: a bundle has a few dozen."""


class Store(Protocol):
    """Read access to the files of a bundle by name."""

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a file, at most `limit` of them.

        Raises:
            BundleError: no such file, not a regular file, or more than `limit` bytes.
        """

    def names(self) -> frozenset[str] | None:
        """Return the names of all files, or None for a folder, which may hold other files as well."""


class FolderStore:
    """A bundle as a folder, on disk or at a URL. Symbolic links are followed: what counts is the hash of the bytes."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a file; see Store."""
        path = self._folder / name
        try:
            return read_source(path, limit, "bundle")
        except OSError as error:
            raise BundleError(f"bundle: {path} cannot be read ({error.strerror}); copy the bundle again") from error

    def names(self) -> frozenset[str] | None:
        """Return None; see Store."""
        return None


class ZipStore:
    """A bundle as a stored zip (`.aeb`): no compression, no links, no folders, every name once.

    Args:
        source: a file, or the bytes of one.

    Raises:
        BundleError: not a zip, or one that breaks these rules.
    """

    def __init__(self, source: Path | bytes) -> None:
        self._source = source
        self._sizes: dict[str, int] = {}
        with self._open() as archive:
            self._check(archive)

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of an entry; see Store."""
        size = self._sizes.get(name)
        if size is None or size > limit:
            raise BundleError(f"{self}: the zip holds no {name} of at most {limit} bytes; get the bundle again")
        try:
            with self._open() as archive, archive.open(name) as file:
                return file.read(limit + 1)
        except Exception as error:  # as in _open: a forged offset of an entry is a ValueError, a bad CRC a BadZipFile
            raise BundleError(f"{self}: {name} in the zip cannot be read ({error}); get the bundle again") from error

    def names(self) -> frozenset[str] | None:
        """Return the names of all entries; see Store."""
        return frozenset(self._sizes)

    def __str__(self) -> str:
        """Name the bundle in messages."""
        return shown(self._source)

    def _open(self) -> zipfile.ZipFile:
        file = io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source
        try:
            return zipfile.ZipFile(file)
        except OSError as error:
            raise BundleError(f"{self} cannot be read ({error.strerror})") from error
        except Exception as error:  # a forged directory makes zipfile raise struct.error, ValueError and others
            raise BundleError(f"{self}: not a zip file ({error}); get the bundle again") from error

    def _check(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_FILES or archive.comment:
            raise BundleError(
                f"{self}: a zip of {len(entries)} entries or with a comment; expected a written .aeb file"
            )
        for entry in entries:
            fault = _entry_fault(entry)
            if fault or entry.filename in self._sizes:
                raise BundleError(f"{self}: zip entry {entry.filename!r:.120} {fault or 'occurs twice'}; refused")
            self._sizes[entry.filename] = entry.file_size
        if sum(self._sizes.values()) > self._size():  # entries may overlap
            raise BundleError(f"{self}: its zip entries are larger than the file; expected a written .aeb file")

    def _size(self) -> int:
        return len(self._source) if isinstance(self._source, bytes) else self._source.stat().st_size


def _entry_fault(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.orig_filename != entry.filename or not FILE_NAME.fullmatch(entry.filename):
        return "has a name that is not allowed (expected a plain name, or one in golden/)"
    if kind not in (0, stat.S_IFREG):
        return "is not a regular file"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "is compressed (expected stored)"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.file_size > MAX_FILE_BYTES:
        return f"has {entry.file_size} bytes (expected at most {MAX_FILE_BYTES})"
    return ""


def shown(source: Location | bytes) -> str:
    """Return the source of a bundle as messages name it."""
    return "bundle in memory" if isinstance(source, bytes) else f"bundle {source}"


def open_store(source: Location | bytes) -> Store:
    """Open a folder, a folder at a URL, an `.aeb` file, or the bytes of one.

    Raises:
        ModelNotFoundError: there is nothing at that path.
        BundleError: it is not a bundle.
    """
    if isinstance(source, bytes):
        return ZipStore(source)
    if isinstance(source, RemotePath):
        if is_hub_bundle(source.url):
            return FolderStore(fetch_bundle(source.url))
        if not (source / MANIFEST).is_file():
            raise ModelNotFoundError(f"{source}: found no {MANIFEST} below it, expected a bundle")
        return FolderStore(source)
    if source.is_dir():
        if not (source / MANIFEST).exists():
            raise ModelNotFoundError(
                f"the folder {source} holds no {MANIFEST}, so it is not a bundle; "
                f"if it is a training run, `aeedge export {source} -o BUNDLE` makes a bundle of it"
            )
        return FolderStore(source)
    if not source.exists():
        raise ModelNotFoundError(
            f"no bundle at {source}; expected a folder, an .aeb file or the name of a shipped bundle"
        )
    if not source.is_file():
        raise BundleError(f"{source} is neither a folder nor a regular file; expected a bundle")
    return ZipStore(source)


def read_manifest(store: Store) -> bytes:
    """Return the bytes of manifest.json."""
    return store.read(MANIFEST, MAX_MANIFEST_BYTES)
