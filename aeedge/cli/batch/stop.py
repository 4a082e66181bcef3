"""Requests to stop: Ctrl-C, the signals that end a process, or an error that ends a batch.

Nothing is interrupted by force. Work in other threads asks between its stages (read, networks, coder, write) whether
it should stop; the main thread is interrupted by an ordinary Python exception. A file is written under a temporary name
and renamed, so whatever is left under its final name is complete.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from aeedge.cli.errors import SIGNALLED

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals, where the system has them, on which a command cleans up before it ends."""


class Stopped(BaseException):
    """Ends work that was asked to stop; no handler of errors catches it."""


class Stop:
    """One request to stop, shared by everything that a command does.

    Attributes:
        signal: number of the signal that was received; 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._requested = threading.Event()

    @classmethod
    def of_command(cls) -> "Stop":
        """Return the request that ends the running command; outside of one, a new request."""
        context = click.get_current_context(silent=True)
        return (context.find_object(cls) if context else None) or cls()

    def request(self) -> None:
        """Ask all work to stop."""
        self._requested.set()

    def check(self) -> None:
        """Do nothing, unless a stop was requested.

        Raises:
            Stopped: it was.
        """
        if self._requested.is_set():
            raise Stopped

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Request a stop on signals, and interrupt the main thread. Ignored signals stay ignored, as nohup asks."""
        numbers = [number for name in SIGNALS if (number := getattr(signal, name, None))]
        previous = {number: signal.getsignal(number) for number in numbers}
        handled = {number: handler for number, handler in previous.items() if handler is not signal.SIG_IGN}
        try:
            for number in handled:
                signal.signal(number, self._received)
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)

    def _received(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self.request()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(SIGNALLED + number)
