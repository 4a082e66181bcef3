"""Ends a run before its last step: when time is up, or on a signal."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether to stop after the current step, and why.

    Args:
        max_minutes: minutes from now after which to stop; 0 for no limit.
    """

    def __init__(self, max_minutes: float = 0.0) -> None:
        self._deadline = time.monotonic() + 60 * max_minutes if max_minutes > 0 else float("inf")
        self.signal = 0

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked."""
        return self.signal != 0

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._deadline

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM ask for a stop; a second one stops at once, as it would by default."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask(number: int, _frame: FrameType | None) -> None:
            self.signal = number
            for known, handler in before.items():
                signal.signal(known, handler)

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
