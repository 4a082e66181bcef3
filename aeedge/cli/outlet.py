"""Writes the output files of the applications, if their paths may be written to."""

from collections.abc import Iterable
from pathlib import Path

from aeedge.cli.batch.outputs import OutputGuard
from aeedge.sources import Source
from aeedge_runtime.files import atomic_write


class Outlet:
    """Writes files below folders that are made as needed.

    Args:
        sources: inputs, which are never written to.
        force: replace what is there.
    """

    def __init__(self, sources: Iterable[Source], *, force: bool) -> None:
        self._guard = OutputGuard(sources, force=force, skip_existing=None)

    def check(self, path: Path) -> Path:
        """Return the path if it may be written to; see `OutputGuard.wants` for the errors."""
        self._guard.wants(path)
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, complete or not at all."""
        self.check(path).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, data, overwrite=self._guard.force)
