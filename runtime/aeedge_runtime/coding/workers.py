"""Worker threads for the independent parts of one call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..profiling import StageClock, running_clock, stage

Part = TypeVar("Part")
Result = TypeVar("Result")

_WAITING = "waiting"


class Workers:
    """Threads for one call, a context manager: the caller's own and helpers, which end with it.

    The helpers are plain threads, because those of `concurrent.futures` refuse work once the main thread has ended. If
    the system cannot start more threads, the caller does their work.

    Args:
        count: number of threads, the caller's included.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._helpers: list[threading.Thread] = []
        self._tasks: deque[_Task[Any]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __enter__(self) -> Self:
        """Return itself; helpers start when there is work for them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the parts in progress."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        for helper in self._helpers:
            helper.join()

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Yield the results of some work on each part, in order; the first error in that order is raised.

        A running clock measures the caller's own work, and counts time spent waiting for a part as that part's stages.
        """
        tasks = [_Task(partial(work, part)) for part in parts]
        self._start_helpers(min(self._count, len(tasks)) - 1)
        with self._changed:
            self._tasks.extend(tasks)
            self._changed.notify_all()
        try:
            for task in tasks:
                self._finish(task)
                yield task.outcome()
        finally:
            with self._changed:
                self._tasks.clear()

    def _start_helpers(self, count: int) -> None:
        while len(self._helpers) < count:
            helper = threading.Thread(target=self._help, daemon=True)  # never keeps the interpreter from exiting
            try:
                helper.start()
            except RuntimeError:  # no more threads, or the interpreter is about to end
                return
            self._helpers.append(helper)

    def _help(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._closed)
                if self._closed:
                    return
                task = self._tasks.popleft()
            task.run(StageClock())
            with self._changed:
                self._changed.notify_all()

    def _finish(self, task: _Task[Any]) -> None:
        """Finish a task, in the caller if no helper has started it; do other tasks while a helper works on it."""
        while not task.done:
            with self._changed:
                own = self._tasks.popleft() if self._tasks else None
            if own is not None:
                own.run()
                continue
            try:
                with stage(_WAITING), self._changed:
                    self._changed.wait_for(lambda: task.done)
            finally:
                if (clock := running_clock()) is not None:
                    clock.share_out(_WAITING, task.times_ns)


class _Task(Generic[Result]):
    """Work on one part.

    Attributes:
        done: whether there is an outcome.
        times_ns: time by stage, if a helper did the work.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self.done = False
        self.times_ns: Mapping[str, int] = {}

    def run(self, clock: StageClock | None = None) -> None:
        """Do the work, keeping any exception for `outcome`; Ctrl-C in the caller's thread is raised at once.

        Args:
            clock: started during the work, in a helper.
        """
        try:
            with nullcontext() if clock is None else clock.running():
                self._results.append(self._work())
        except BaseException as error:
            self._error = error
            if clock is None and not isinstance(error, Exception):
                raise
        finally:
            if clock is not None:
                self.times_ns = clock.times_ns
            self.done = True

    def outcome(self) -> Result:
        """Return the result, once.

        Raises:
            Exception: what the work raised.
        """
        if self._error is not None:
            raise self._error
        return self._results.pop()
