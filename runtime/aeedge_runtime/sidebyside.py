"""Independent parts of one call, side by side in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from .stages import StageClock, running_clock, stage

Part = TypeVar("Part")
Result = TypeVar("Result")

_WAITING = "waiting"


class Workers:
    """Threads for one call, a context manager: none is left over for a fork, or to wait for the next call.

    Args:
        count: how many; with 1 the work is done by the caller's own.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def __enter__(self) -> Self:
        """Itself; threads start as they are needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits for the parts that are at work; those that wait are dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Results of some work on each part, in order; so is the error that is raised, if any.

        A clock that runs sees the time spent on waiting for a part as the stages of its work.
        """
        if self._pool is None:
            yield from map(work, parts)
            return
        clock = running_clock()

        def timed(part: Part) -> tuple[Result, Mapping[str, int]]:
            if clock is None:
                return work(part), {}
            own = StageClock()
            with own.running():
                result = work(part)
            return result, own.times_ns

        waiting = deque(self._pool.submit(timed, part) for part in parts)
        while waiting:
            with stage(_WAITING):
                result, times_ns = waiting.popleft().result()
            if clock is not None:
                clock.share_out(_WAITING, times_ns)
            yield result
