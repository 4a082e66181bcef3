"""A bundle under its final name: complete, or not there at all."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from aeedge_export.graphs.canonical import zip_bytes
from aeedge_runtime.bundle.storage import MANIFEST, open_store, read_manifest
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.files import TEMPORARY_PREFIX, atomic_write, require_writable

SUFFIX = ".aeb"


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that would lose something, before any work is done.

    Raises:
        ArgumentError: what lies there is no bundle, or one with other files in it.
        AeedgeError: a bundle lies there and `force` is not set, or its folder may not be written to.
    """
    if not target.name:
        raise ArgumentError(f"{target}: found no name, expected a folder or an .aeb file to write")
    require_writable(target)
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    kind = "a folder" if target.is_dir() else "a file"
    files = _files_of_bundle(target)
    if files is None or target.is_dir() == (target.suffix == SUFFIX):
        raise ArgumentError(f"{target}: found {kind} that is no bundle of this kind; choose another name")
    if not force:
        raise AeedgeError(f"{target}: found {kind} there already; replace it with --force")
    others = sorted({path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()} - files)
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ArgumentError(
            f'{target}: found "{others[0]}"{more} that the bundle there does not list; '
            "move what is not the bundle's, or choose another name"
        )


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
    target = Path(os.path.realpath(target))  # a link stays one, as with files
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.tmp"
    try:
        try:
            for name, data in sorted(files.items()):
                _write(temporary / name, data)
            _publish(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    finally:  # once more: Ctrl-C may have come before the first was done
        shutil.rmtree(temporary, ignore_errors=True)


def _files_of_bundle(target: Path) -> set[str] | None:
    """Names that the manifest of a bundle lists, its own among them; None where there is no manifest of a bundle."""
    try:
        values = json.loads(read_manifest(open_store(target)))
    except (AeedgeError, OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("files"), dict) or "stream_id" not in values:
        return None
    return {MANIFEST, *values["files"]}


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
    try:
        target.rename(aside)
        temporary.rename(target)
    except BaseException:  # Ctrl-C too must not leave neither of them there
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
