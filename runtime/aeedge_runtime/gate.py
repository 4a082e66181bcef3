"""Admission of calls to a codec: a limited number at once, and none after it was closed."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass

from .arrays import whole
from .errors import ArgumentError
from .profiling import running_clock

POLL_S = 0.05
"""Longest time until a call that waits for its turn notices that it was canceled."""


class _Turns:
    """Turns of one process, in the order of the calls: one that is given back goes to the thread that waits longest.

    A semaphore would mostly give it to the thread that has just given it back, and some clients would starve.
    """

    def __init__(self, count: int) -> None:
        self.process = os.getpid()  # those that threads of a parent hold are not given back after a fork
        self._left = count
        self._changing = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def take(self) -> None:
        """Wait for a turn; what the check of the running clock raises ends the wait."""
        with self._changing:
            if self._left:
                self._left -= 1
                return
            granted = threading.Lock()
            granted.acquire()
            self._waiting.append(granted)
        try:
            _wait_for(granted)
        except BaseException:
            with self._changing:
                gone = granted in self._waiting
                if gone:
                    self._waiting.remove(granted)
            if not gone:
                self.give_back()
            raise

    def give_back(self) -> None:
        """Hand a turn on."""
        with self._changing:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._left += 1


def _wait_for(granted: threading.Lock) -> None:
    clock = running_clock()
    if clock is None:
        granted.acquire()
        return
    while not granted.acquire(timeout=POLL_S):
        clock.check()


@dataclass
class _Held(threading.local):
    """The turn that a thread holds, and how many calls inside each other it is for."""

    turns: _Turns | None = None
    depth: int = 0


class Gate:
    """Admits calls, each as a context manager; threads beyond the limit wait in line.

    Calls inside a call need no second turn.

    Args:
        max_concurrent: calls at once; None for any number.

    Attributes:
        max_concurrent: as passed.

    Raises:
        ArgumentError: not an integer of at least 1.
    """

    def __init__(self, max_concurrent: int | None) -> None:
        self.max_concurrent = None if max_concurrent is None else whole("max_concurrent", max_concurrent)
        self._turns = None if self.max_concurrent is None else _Turns(self.max_concurrent)
        self._held = _Held()
        self._closed = False

    def close(self) -> None:
        """Refuse calls from now on; those that run or wait finish."""
        self._closed = True

    def __enter__(self) -> None:
        """Wait for a turn.

        Raises:
            ArgumentError: the gate is closed.
            CanceledError: the call was canceled meanwhile.
        """
        if self._closed:
            raise ArgumentError("the codec is closed; load it again with Codec.load")
        if self._turns is None:
            return
        if not self._held.depth:
            if self._turns.process != os.getpid():
                self._turns = _Turns(self.max_concurrent or 1)
            self._held.turns = self._turns
            self._turns.take()
        self._held.depth += 1

    def __exit__(self, *_: object) -> None:
        """Give the turn back."""
        held = self._held
        if not held.depth:
            return
        held.depth -= 1
        if not held.depth and held.turns is not None:
            held.turns.give_back()
