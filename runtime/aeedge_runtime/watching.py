"""Watching a call: its progress, and requests to cancel it.

Both ride on the clock of the stages: no stage of a canceled call begins, and nothing is interrupted by force. In large
images a stage is a tile of a network or some chunks of the entropy coder, some tens of milliseconds with `photo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from .errors import ArgumentError, CanceledError
from .profiling import OTHER, StageClock, running_clock, stage

_CALL = "call"


class SupportsIsSet(Protocol):
    """A flag, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Return whether it is set."""


Progress: TypeAlias = Callable[[int, int], object]
"""Called with the units that are done, and all that are known of."""

Cancel: TypeAlias = SupportsIsSet | Callable[[], object]
"""A flag, or a function that returns whether to cancel; what the function raises ends the call, too."""


class WatchedClock(StageClock):
    """A clock whose stages begin only while a check passes, and which reports progress.

    Args:
        stop: called before each stage and unit; what it raises ends the call.
        progress: as in `watched`.
    """

    def __init__(self, stop: Callable[[], object], progress: Progress | None = None) -> None:
        super().__init__()
        self._stop, self._progress = stop, progress
        self._done = self._total = 0

    def check(self) -> None:
        """Call `stop`."""
        self._stop()

    def enter(self, name: str) -> None:
        """Begin a stage, unless `stop` raises."""
        if name != OTHER:  # entered when the clock starts, which must stay undone where this fails
            self._stop()
        super().enter(name)

    def expect(self, units: int) -> None:
        """Count units of work to come."""
        self._total += units

    def advance(self, units: int) -> None:
        """Report that units are done, unless `stop` raises."""
        self._stop()
        self._done += units
        if self._progress is not None:
            self._progress(self._done, self._total)


@contextmanager
def watched(progress: Progress | None, cancel: Cancel | None) -> Iterator[None]:
    """Watch the work of a block; a clock that runs around it keeps its times and its own check.

    Args:
        progress: called in this thread.
        cancel: asked in this thread, before each stage and unit.

    Raises:
        ArgumentError: another type.
        CanceledError: `cancel` said so.
    """
    if progress is None and cancel is None:
        yield
        return
    if progress is not None and not callable(progress):
        raise ArgumentError(f"progress: found {type(progress).__name__}, expected a function of done and total units")
    outer, canceled = running_clock(), _question(cancel)

    def stop() -> None:
        if outer is not None:
            outer.check()
        if canceled is not None and canceled():
            raise CanceledError("the call was canceled: its cancel argument said so")

    clock = WatchedClock(stop, progress)
    stop()
    with stage(_CALL), clock.running():
        yield
    if outer is not None:
        outer.share_out(_CALL, clock.times_ns)


def _question(cancel: Cancel | None) -> Callable[[], object] | None:
    is_set = getattr(cancel, "is_set", cancel)
    if is_set is None or callable(is_set):
        return is_set
    raise ArgumentError(f"cancel: found {type(cancel).__name__}, expected a threading.Event or a function")
