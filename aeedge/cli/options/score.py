"""Options of `aeedge score`."""

from dataclasses import dataclass
from pathlib import Path

import click

from aeedge.cli.options.selection import SelectionOptions
from aeedge.sources import STDIN


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(SelectionOptions):
    """Options of `aeedge score`.

    Attributes:
        output: CSV file; None for standard output.
        threshold: score from which an image is anomalous; None for the one in the bundle.
        heat_maps: folder for images of the differences.
        normal: class to compare with all others.
        reference: files or folders of good images to compare with.
        false_positive_rate: of the threshold that they give.
        masks: folder of masks.
    """

    output: Path | None
    threshold: float | None
    heat_maps: Path | None
    normal: str | None
    reference: tuple[str, ...]
    false_positive_rate: float | None
    masks: Path | None

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        super().__post_init__()
        if self.as_json and self.output:
            raise click.UsageError("--json cannot be combined with -o, which writes CSV")
        if self.output == Path(STDIN):
            raise click.UsageError("-o needs the name of a file; without -o, scores go to stdout")
        for flag, value in (("--false-positive-rate", self.false_positive_rate), ("--masks", self.masks)):
            if value is not None and not self.reference:
                raise click.UsageError(f"{flag} needs good images, named with --reference")
