"""A line on stderr with count, rate and time left; silent when that is no terminal, or the work is short."""

import sys
import time
from types import TracebackType
from typing import Self

PATIENCE_S = 2.0
"""Nothing is shown before this time."""

INTERVAL_S = 0.1
"""Time between two drawings."""


class Progress:
    """Shows how far a batch is; a context manager that leaves no trace on the terminal.

    Args:
        total: number of items; 0 until `report` says it.
        noun: what they are, in the plural.
    """

    def __init__(self, total: int = 0, noun: str = "images") -> None:
        self.total = total
        self.noun = noun
        self.done = 0
        self._visible = sys.stderr.isatty()
        self._start = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.clear()

    def report(self, done: int, total: int, noun: str) -> None:
        """Say how many of how many items are done, and draw; what the library calls to report progress."""
        self.total, self.noun = total, noun
        self.update(done)

    def update(self, done: int) -> None:
        """Say how many items are done, and draw."""
        self.done = done
        self.draw()

    def draw(self) -> None:
        """Draw the line if it is time to."""
        now = time.monotonic()
        if self._visible and self.total > 1 and now - self._start > PATIENCE_S and now - self._drawn > INTERVAL_S:
            self._drawn = now
            sys.stderr.write(f"\r\x1b[2K{progress_line(self.done, self.total, now - self._start, self.noun)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away, so that another can be printed."""
        if self._drawn:
            self._drawn = 0.0
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def progress_line(done: int, total: int, elapsed_s: float, noun: str) -> str:
    """Return, say, `  123 of 1,000 images, 45.2 a second, 0:19 left`; at most 80 columns."""
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    line = f"{done:>{len(f'{total:,}')},} of {total:,} {noun}"
    if not rate:
        return line
    left = round((total - done) / rate)
    clock = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}" if left >= 3600 else f"{left // 60}:{left % 60:02}"
    return f"{line}, {rate:,.1f} a second, {clock} left"
