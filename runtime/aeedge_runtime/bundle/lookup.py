"""Finds the bundle that a stream needs, by its stream id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from ..errors import AeedgeError, ModelNotFoundError
from ..notices import notice
from .bundle import SHIPPED, Bundle
from .manifest import MANIFEST, Manifest
from .storage import open_store, read_manifest

VARIABLE = "AEEDGE_BUNDLES"
"""Environment variable: folders, separated as in PATH, each a bundle or with bundles in it."""

GROUP = "aeedge.bundles"
"""Entry-point group of installed packages that bring bundles: a module whose folder holds them, or a path."""

BUNDLE_SUFFIX = ".aeb"


def find_by_stream_id(stream_id: str) -> Bundle:
    """Load the first bundle with a stream id: of AEEDGE_BUNDLES, of installed packages, then of those that ship.

    Args:
        stream_id: 16 hex digits, as `stream_info` gives them.

    Raises:
        ModelNotFoundError: there is none; the message names the id and how to supply its bundle.
        BundleError: it is damaged.
    """
    for path in known_bundles():
        if _stream_id(path) == stream_id:
            return Bundle.load(path)
    raise ModelNotFoundError(
        f"no bundle with stream id {stream_id} found; pass the bundle that wrote the stream (-m BUNDLE), "
        f"or add its folder to {VARIABLE}"
    )


def known_bundles() -> Iterator[Path]:
    """Yield the paths of all bundles that can be found by stream id, in the order of the search."""
    for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        yield from _bundles_in(Path(folder))
    for entry in entry_points(group=GROUP):
        yield from _bundles_of(entry)
    yield from _bundles_in(SHIPPED)


def _bundles_in(folder: Path) -> list[Path]:
    """Return a bundle, or those directly in a folder; a path that leads nowhere has none."""
    try:
        if folder.suffix == BUNDLE_SUFFIX or (folder / MANIFEST).is_file():
            return [folder]
        return sorted(path for path in folder.iterdir() if path.suffix == BUNDLE_SUFFIX or (path / MANIFEST).is_file())
    except OSError as error:
        notice(f"{folder}: left out of the search for bundles ({error.strerror})")
        return []


def _bundles_of(entry: EntryPoint) -> list[Path]:
    """Return the bundles of an installed package; one that fails to import must not hide the others."""
    try:
        found = entry.load()
    except Exception as error:
        notice(f"entry point {entry.name!r} of {GROUP}: left out of the search for bundles ({error})")
        return []
    if isinstance(found, ModuleType):
        return [path for folder in getattr(found, "__path__", []) for path in _bundles_in(Path(folder))]
    return _bundles_in(Path(os.fspath(found)))


def _stream_id(path: Path) -> str | None:
    """Return the stream id in a manifest, or None where the bundle is damaged or of a newer schema."""
    try:
        return Manifest.from_bytes(read_manifest(open_store(path))).stream_id
    except (AeedgeError, OSError) as error:
        notice(f"{path}: left out of the search for bundles ({error})")
        return None
