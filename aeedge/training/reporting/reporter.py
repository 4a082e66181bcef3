"""The interface by which a run reports its progress; the engine prints nothing itself."""

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Receives what happens; called in the first process only."""

    def start(self, step: int, max_steps: int, images: int, parameters: int) -> None:
        """Report that training begins at a step."""

    def warn(self, text: str) -> None:
        """Report what the run will suffer from."""

    def step(self, step: int, loss: float, images_per_second: float) -> None:
        """Report a step."""

    def validated(self, row: Mapping[str, float], best: bool) -> None:
        """Report a validation; `row` is that of metrics.csv."""

    def finish(self, reason: str) -> None:
        """Report the end."""


class Silent:
    """Says nothing."""

    def start(self, step: int, max_steps: int, images: int, parameters: int) -> None:
        """Ignore the start."""

    def warn(self, text: str) -> None:
        """Ignore a warning."""

    def step(self, step: int, loss: float, images_per_second: float) -> None:
        """Ignore a step."""

    def validated(self, row: Mapping[str, float], best: bool) -> None:
        """Ignore a validation."""

    def finish(self, reason: str) -> None:
        """Ignore the end."""
