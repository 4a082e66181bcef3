"""Live progress in a terminal, plain lines elsewhere, both on stderr."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PLAIN_INTERVAL_S = 15.0
"""Seconds between two plain lines."""


def duration(seconds: float) -> str:
    """Return a time in its largest useful unit, for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Display:
    """A reporter for people."""

    def __init__(self) -> None:
        self._console: Console | None = None  # made where training runs: it cannot go to a spawned process
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._last_line = 0.0
        self._max_steps = 0
        self._first_step, self._first_time = 0, 0.0

    def start(self, step: int, max_steps: int, images: int, parameters: int) -> None:
        """Say what is trained and show the bar."""
        begin = f"from step {step:,} " if step else ""
        self._max_steps, self._last_line = max_steps, time.monotonic()
        self._first_step, self._first_time = step, self._last_line
        self._line(f"training {parameters:,} parameters on {images:,} images, {begin}to step {max_steps:,}")
        self._console = Console(stderr=True, highlight=False)
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._task = self._progress.add_task("", total=max_steps, completed=step)
            self._progress.start()

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._line(f"warning: {text}")

    def step(self, step: int, loss: float, images_per_second: float) -> None:
        """Move the bar, or print a line now and then."""
        text = f"loss {loss:.5g}  {images_per_second:,.0f} images/s"
        if self._progress:
            self._progress.update(self._task, completed=step, description=text)
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL_S:
            self._last_line = time.monotonic()
            self._line(f"step {step:,} of {self._max_steps:,}  {text}  {self._left(step)}")

    def validated(self, row: Mapping[str, float], best: bool) -> None:
        """Print what was measured."""
        extra = "".join(f"  {row[name]:.4f} bpp" for name in ("val_rate_bpp",) if name in row)
        similarity = f"  ms-ssim {row['val_ms_ssim']:.4f}" if "val_ms_ssim" in row else ""
        train = f"  train {row['train_loss']:.5g}" if "train_loss" in row else ""
        self._line(
            f"epoch {row['epoch']:.2f}  step {int(row['step']):,}{train}  held-out {row['val_loss']:.5g}"
            f"  {row['val_psnr_db']:.2f} dB{similarity}{extra}  {row['images_per_second']:,.0f} images/s"
            f"{'  (best)' if best else ''}"
        )

    def finish(self, reason: str) -> None:
        """Take the bar away and say why it ended."""
        if self._progress:
            self._progress.stop()
        self._line(f"training ended: {reason}")

    def _left(self, step: int) -> str:
        """Return roughly how long the remaining steps take."""
        each = (time.monotonic() - self._first_time) / max(step - self._first_step, 1)
        return f"about {duration(each * (self._max_steps - step))} left"

    def _line(self, text: str) -> None:
        if self._progress and self._console:
            self._console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - plain lines when not in a terminal
