"""Write a bundle under its final name, complete or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

from aeedge_export.graphs.canonical import zip_bytes
from aeedge_runtime.bundle.manifest import MANIFEST
from aeedge_runtime.bundle.storage import open_store, read_manifest
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.files import atomic_write, publish_folder, require_writable

SUFFIX = ".aeb"


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that would lose something, before any work is done.

    Raises:
        ArgumentError: the target is not a bundle, or contains other files.
        AeedgeError: the bundle exists and `force` is not set, or its folder may not be written to.
    """
    if not target.name:
        raise ArgumentError(f"{target}: has no name, expected a folder or an .aeb file to write")
    require_writable(target)
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    kind = "a folder" if target.is_dir() else "a file"
    files = _files_of_bundle(target)
    if files is None or target.is_dir() == (target.suffix == SUFFIX):
        raise ArgumentError(f"{target}: {kind} that is not a bundle of this kind is in the way; choose another name")
    if not force:
        raise AeedgeError(f"{target}: {kind} already exists there; replace it with --force")
    others = sorted({path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()} - files)
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ArgumentError(
            f'{target}: the bundle there does not list "{others[0]}"{more}; '
            "move the files that do not belong to it, or choose another name"
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
    with publish_folder(target, replace=force or target.is_dir()) as temporary:  # an empty folder is no loss
        for name, data in sorted(files.items()):
            (temporary / name).parent.mkdir(exist_ok=True)
            atomic_write(temporary / name, data)


def _files_of_bundle(target: Path) -> set[str] | None:
    """Names that the manifest of a bundle lists, its own among them; None where there is no manifest of a bundle."""
    try:
        values = json.loads(read_manifest(open_store(target)))
    except (AeedgeError, OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("files"), dict) or "stream_id" not in values:
        return None
    return {MANIFEST, *values["files"]}
