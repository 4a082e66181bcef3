"""A bundle under its final name: complete, or not there at all."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from aeedge_export.canonical import zip_bytes
from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.files import TEMPORARY_PREFIX, atomic_write

SUFFIX = ".aeb"
MANIFEST = "manifest.json"


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that would lose something, before any work is done.

    Raises:
        ArgumentError: something lies there and `force` is not set, or it is no bundle.
    """
    if not target.name:
        raise ArgumentError(f"{target}: found no name, expected a folder or an .aeb file to write")
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    kind = "a folder" if target.is_dir() else "a file"
    if (target.is_dir() and not (target / MANIFEST).is_file()) or target.is_dir() == (target.suffix == SUFFIX):
        raise ArgumentError(f"{target}: found {kind} that is no bundle of this kind; choose another name")
    if not force:
        raise ArgumentError(f"{target}: found {kind} there already; replace it with --force")


def write_bundle(target: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write a folder, or a stored zip where the name ends in `.aeb`.

    Raises:
        ArgumentError: as `check_target`.
        OSError: it cannot be written; nothing is left behind.
    """
    check_target(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == SUFFIX:
        atomic_write(target, zip_bytes(files), overwrite=force)
        return
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"
    try:
        for name, data in sorted(files.items()):
            _write(temporary / name, data)
        _publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _publish(temporary: Path, target: Path) -> None:
    """Rename; an old bundle is moved aside first and deleted when the new one is in its place."""
    if not target.exists():
        temporary.rename(target)
        return
    aside = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.old"
    target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside)
