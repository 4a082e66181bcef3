"""Timing of compress and decompress by stage; without a clock, a stage costs one look-up of a context variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from time import perf_counter_ns as now_ns
from typing import ParamSpec, TypeVar

OTHER = "other"
"""Name of the time outside all stages."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class StageClock:
    """Times of stages while it runs. A stage inside another interrupts it, so the times add up to the whole.

    It notes when stages begin and end, and adds up when it is asked: small networks take as long as that.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[str | None, int]] = []
        self._stages: list[str] = []
        self._since_ns = 0
        self._times_ns: dict[str, int] = {}

    @property
    def times_ns(self) -> dict[str, int]:
        """Time by stage in ns, `OTHER` included, up to the last start or end of a stage."""
        for name, at_ns in self._marks:
            if self._stages:
                self._times_ns[self._stages[-1]] = self._times_ns.get(self._stages[-1], 0) + at_ns - self._since_ns
            self._since_ns = at_ns
            if name is None:
                self._stages.pop()
            else:
                self._stages.append(name)
        self._marks.clear()
        return self._times_ns

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the clock for this context (thread or task), and stop it at the end."""
        token = _CLOCK.set(self)
        self.enter(OTHER)
        try:
            yield
        finally:
            self.leave()
            _CLOCK.reset(token)

    def enter(self, name: str) -> None:
        """Charge the time from now on to a stage."""
        self._marks.append((name, now_ns()))

    def leave(self) -> None:
        """End the stage entered last; the one around it continues."""
        self._marks.append((None, now_ns()))

    def check(self) -> None:
        """Raise if the call is to end; this clock lets it run. See `watching.WatchedClock`."""

    def expect(self, units: int) -> None:
        """Count units of work to come, for a clock that reports progress."""

    def advance(self, units: int) -> None:
        """Count units as done, for a clock that reports progress."""

    def share_out(self, name: str, times_ns: Mapping[str, int]) -> None:
        """Divide the time of a stage among others, in proportion to their times in another clock.

        Args:
            name: the stage; it is gone then.
            times_ns: times by stage; `OTHER` stands for the stage that is open now, which gets all if there are none.
        """
        own_ns, whole = self.times_ns, max(sum(times_ns.values()), 1)
        left = total = own_ns.pop(name, 0)
        for other, part in times_ns.items():
            if other != OTHER:
                share = total * part // whole
                own_ns[other] = own_ns.get(other, 0) + share
                left -= share
        own_ns[self._stages[-1]] = own_ns.get(self._stages[-1], 0) + left


class _Stage:
    """A block that belongs to a stage; a generator in its place takes microseconds, as much as small networks do."""

    __slots__ = ("_clock", "_name")

    def __init__(self, clock: StageClock, name: str) -> None:
        self._clock = clock
        self._name = name

    def __enter__(self) -> None:
        self._clock.enter(self._name)

    def __exit__(self, *_: object) -> None:
        self._clock.leave()


_CLOCK: ContextVar[StageClock | None] = ContextVar("aeedge_stage_clock", default=None)
_NOTHING = nullcontext()


def running_clock() -> StageClock | None:
    """Return the clock of this context, if one is running."""
    return _CLOCK.get()


def expect(units: int) -> None:
    """Tell the running clock, if there is one, of units of work to come; see `watching`."""
    if (clock := _CLOCK.get()) is not None:
        clock.expect(units)


def advance(units: int) -> None:
    """Tell the running clock, if there is one, that units of work are done."""
    if (clock := _CLOCK.get()) is not None:
        clock.advance(units)


def stage(name: str) -> AbstractContextManager[None]:
    """Measure a block as a stage if a clock is running."""
    clock = _CLOCK.get()
    return _NOTHING if clock is None else _Stage(clock, name)


def staged(name: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Return a decorator that measures a function as a stage."""

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            clock = _CLOCK.get()
            if clock is None:
                return function(*args, **kwargs)
            clock.enter(name)
            try:
                return function(*args, **kwargs)
            finally:
                clock.leave()

        return run

    return decorate
