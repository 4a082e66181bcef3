"""Independent parts of one call, side by side in threads."""

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

    The helpers are plain threads, as those of `concurrent.futures` refuse work once the main thread has ended. Where
    the system gives no more threads, the caller does what they would have done.

    Args:
        count: how many, the caller's included.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._helpers: list[threading.Thread] = []
        self._tasks: deque[_Task[Any]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __enter__(self) -> Self:
        """Itself; helpers start when there is work for them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits for the parts that are at work."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        for helper in self._helpers:
            helper.join()

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Results of some work on each part, in order; so is the error that is raised, if any.

        A clock that runs sees what the caller does, and the time it waits for a part as the stages of that part.
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
            helper = threading.Thread(target=self._help, daemon=True)  # an exit never waits for one
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
        """Has a task done, by the caller where no helper has begun it; and others while a helper is at it."""
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
        times_ns: time by stage, where another thread than the caller's did it.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self.done = False
        self.times_ns: Mapping[str, int] = {}

    def run(self, clock: StageClock | None = None) -> None:
        """Does the work; what it raises waits for its turn, but for a Ctrl-C in the caller's thread.

        Args:
            clock: to be run meanwhile, in a helper.
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
        """The result, once.

        Raises:
            Exception: what the work raised.
        """
        if self._error is not None:
            raise self._error
        return self._results.pop()
