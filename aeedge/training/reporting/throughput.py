"""Counts the images per second of a run."""

import time


class Throughput:
    """A stopwatch with laps, one from each validation to the next.

    Args:
        batch_size: images per step.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size, self._steps = batch_size, 0
        self._start = self._lap = time.monotonic()

    def tick(self) -> float:
        """Count a step; return the images per second of this lap."""
        self._steps += 1
        return self._batch_size * self._steps / max(time.monotonic() - self._lap, 1e-9)

    def lap(self) -> dict[str, float]:
        """Start the next lap; return the images per second of the one that ends, and the seconds of all."""
        now = time.monotonic()
        rate = self._batch_size * self._steps / max(now - self._lap, 1e-9)
        self._lap, self._steps = now, 0
        return {"images_per_second": round(rate, 2), "seconds": round(now - self._start, 2)}
