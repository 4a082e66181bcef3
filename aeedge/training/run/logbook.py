"""The written record of a run: metrics.csv, curves.png and TensorBoard events."""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeedge.training.reporting.pictures import save_curves
from aeedge_runtime.errors import InputError
from aeedge_runtime.files import atomic_write

METRICS = "metrics.csv"
CURVES = "curves.png"

CURVES_SECONDS = 20.0
"""Least time between two drawings of the curves; the last one is always drawn."""

LEADING = ("step", "epoch", "learning_rate", "images_per_second", "seconds")
"""First columns of metrics.csv; `train_*` and `val_*` follow."""


class Logbook:
    """Appends one row per validation.

    Args:
        run: the run folder.
        step: step at which the run starts; rows beyond it, of a run that was killed later, are dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = run / METRICS
        self.rows = [row for row in read_metrics(self.path) if row["step"] <= step]
        if self.path.exists():
            self._rewrite()
        self._drawn = time.monotonic()
        self._events: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row everywhere."""
        self.rows.append(dict(row))
        self._rewrite()
        for name, value in row.items():
            if name not in ("step", "epoch"):
                self._events.add_scalar(name.replace("_", "/", 1), value, int(row["step"]))
        self._events.flush()
        if time.monotonic() - self._drawn >= CURVES_SECONDS:
            self._draw()

    def add_step(self, step: int, values: Mapping[str, float]) -> None:
        """Write the loss of a step to TensorBoard only."""
        for name, value in values.items():
            self._events.add_scalar(f"step/{name}", value, step)

    def close(self) -> None:
        """Close the TensorBoard file, and draw the curves."""
        self._events.close()
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        save_curves(self.path.with_name(CURVES), self.rows)

    def _rewrite(self) -> None:
        names = list(dict.fromkeys([*LEADING, *(name for row in self.rows for name in row)]))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self.path, text.getvalue().encode(), overwrite=True)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics.csv, empty cells left out; no rows when there is no file.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except (csv.Error, TypeError, ValueError) as error:
        raise InputError(f"{path}: found cells that are not numbers ({error}); repair or remove the file") from error
    if not all("step" in row for row in rows):
        raise InputError(f"{path}: found a row without a step, expected one in each; repair or remove the file")
    return rows
