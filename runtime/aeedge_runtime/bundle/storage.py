"""Where the files of a bundle lie: a folder or a stored zip. Reads plain bytes, no more than it was told to."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from typing import Protocol

from ..errors import BundleError, ModelNotFoundError
from ..files import read_regular
from .manifest import FILE_NAME, MAX_FILE_BYTES, MAX_MANIFEST_BYTES

MANIFEST = "manifest.json"

MAX_FILES = 10_000
"""Entries of a zip: a bundle has a few dozen."""


class Store(Protocol):
    """Read access to the files of a bundle by name."""

    def read(self, name: str, limit: int) -> bytes:
        """Bytes of a file, at most `limit` of them.

        Raises:
            BundleError: no such file, not a plain file, or more than `limit` bytes.
        """

    def names(self) -> frozenset[str] | None:
        """Names of all files, or None where files beside the bundle are nobody's business (a folder)."""


class FolderStore:
    """A bundle as a folder. A symbolic link is followed: what counts is the hash of the bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, limit: int) -> bytes:
        """Bytes of a file; see Store."""
        path = self._folder / name
        try:
            return read_regular(path, limit)
        except OSError as error:
            raise BundleError(f"bundle: {path} cannot be read ({error.strerror}); copy the bundle again") from error

    def names(self) -> frozenset[str] | None:
        """None; see Store."""
        return None


class ZipStore:
    """A bundle as a stored zip (`.aeb`): no compression, no links, no folders, every name once.

    Args:
        place: a file, or the bytes of one.

    Raises:
        BundleError: not a zip, or one that breaks these rules.
    """

    def __init__(self, place: Path | bytes) -> None:
        self._place = place
        self._sizes: dict[str, int] = {}
        with self._open() as archive:
            self._check(archive)

    def read(self, name: str, limit: int) -> bytes:
        """Bytes of an entry; see Store."""
        size = self._sizes.get(name)
        if size is None or size > limit:
            raise BundleError(f"{self}: the zip holds no {name} of at most {limit} bytes; get the bundle again")
        try:
            with self._open() as archive, archive.open(name) as file:
                return file.read(limit + 1)
        except Exception as error:  # as in _open: a forged place of an entry is a ValueError, a bad CRC a BadZipFile
            raise BundleError(f"{self}: {name} in the zip cannot be read ({error}); get the bundle again") from error

    def names(self) -> frozenset[str] | None:
        """Names of all entries; see Store."""
        return frozenset(self._sizes)

    def __str__(self) -> str:
        """Name for messages."""
        return shown(self._place)

    def _open(self) -> zipfile.ZipFile:
        source = io.BytesIO(self._place) if isinstance(self._place, bytes) else self._place
        try:
            return zipfile.ZipFile(source)
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
                raise BundleError(f"{self}: zip entry {entry.filename!r:.120} {fault or 'comes twice'}; refused")
            self._sizes[entry.filename] = entry.file_size
        if sum(self._sizes.values()) > self._size():  # entries may overlap
            raise BundleError(f"{self}: its zip entries are larger than the file; expected a written .aeb file")

    def _size(self) -> int:
        return len(self._place) if isinstance(self._place, bytes) else self._place.stat().st_size


def _entry_fault(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.orig_filename != entry.filename or not FILE_NAME.fullmatch(entry.filename):
        return "has a name that is not allowed (expected a plain name, or one in golden/)"
    if kind not in (0, stat.S_IFREG):
        return "is not a plain file"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "is compressed (expected stored)"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.file_size > MAX_FILE_BYTES:
        return f"has {entry.file_size} bytes (expected at most {MAX_FILE_BYTES})"
    return ""


def shown(place: Path | bytes) -> str:
    """A bundle's place, for messages."""
    return "bundle in memory" if isinstance(place, bytes) else f"bundle {place}"


def open_store(place: Path | bytes) -> Store:
    """Opens a folder, an `.aeb` file, or the bytes of one.

    Raises:
        ModelNotFoundError: there is nothing at that place.
        BundleError: what lies there is not a bundle.
    """
    if isinstance(place, bytes):
        return ZipStore(place)
    if place.is_dir():
        if not (place / MANIFEST).exists():
            raise ModelNotFoundError(
                f"the folder {place} holds no {MANIFEST}, so it is no bundle; "
                f"if it is a training run, `aeedge export {place} -o BUNDLE` makes a bundle of it"
            )
        return FolderStore(place)
    if not place.exists():
        raise ModelNotFoundError(
            f"no bundle at {place}; expected a folder, an .aeb file or the name of a shipped bundle"
        )
    if not place.is_file():
        raise BundleError(f"{place} is neither a folder nor a plain file; expected a bundle")
    return ZipStore(place)


def read_manifest(store: Store) -> bytes:
    """Bytes of manifest.json."""
    return store.read(MANIFEST, MAX_MANIFEST_BYTES)
