"""Writes the output files of the applications, if their paths may be written to."""

from collections.abc import Iterable

from aeedge.cli.batch.outputs import OutputGuard
from aeedge.sources import Source
from aeedge_runtime.remote import Location, write_location


class Outlet:
    """Writes files below folders that are made as needed.

    Args:
        sources: inputs, which are never written to.
        force: replace what is there.
    """

    def __init__(self, sources: Iterable[Source], *, force: bool) -> None:
        self._guard = OutputGuard(sources, force=force, skip_existing=None)

    def check(self, path: Location) -> None:
        """Refuse a path that may not be written to; see `OutputGuard.wants` for the errors."""
        self._guard.wants(path)

    def write(self, path: Location, data: bytes) -> None:
        """Write a file, complete or not at all."""
        self.check(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_location(path, data, overwrite=self._guard.force)
