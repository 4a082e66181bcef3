"""The options of `aeedge bench`, checked against each other."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aeedge.figures import printable
from aeedge.sources import STDIN

if TYPE_CHECKING:
    from aeedge.benchmark.protocol import Effort

OPERATIONS = ("compress", "decompress", "encode", "decode")
ENGINES = ("torch", "jpeg", "webp", "avif")


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Options of `aeedge bench`.

    Attributes:
        bundle: folder, .aeb file or name.
        device: devices to measure.
        threads: numbers of threads to measure; None for one per core.
        batch: batch sizes to measure.
        size: widths and heights to measure; None for the usual size of the bundle.
        quality: quality of the bundle.
        operation: operations to measure.
        input: what compress starts from.
        images: image files or folders; empty for a drawn image or the golden ones.
        repeats: processes per configuration, or None.
        samples: timed calls per process, or None.
        quick: measure for a few seconds only.
        against: other engines to measure.
        run: run folder for PyTorch; None for the weights that ship.
        compare: earlier report to compare with.
        fail_over: slowdown in percent that fails, or None.
        as_json: print JSON.
        as_csv: print CSV.
        as_markdown: print Markdown.
        picture: chart to draw.
        output: JSON file to write.
        force: replace existing files.
    """

    bundle: str
    device: tuple[str, ...]
    threads: tuple[int, ...] | None
    batch: tuple[int, ...]
    size: tuple[tuple[int, int], ...] | None
    quality: int
    operation: tuple[str, ...]
    input: str
    images: tuple[str, ...]
    repeats: int | None
    samples: int | None
    quick: bool
    against: tuple[str, ...]
    run: Path | None
    compare: Path | None
    fail_over: float | None
    as_json: bool
    as_csv: bool
    as_markdown: bool
    picture: Path | None
    output: Path | None
    force: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        if len(self._styles) > 1:
            flags = " and ".join(f"--{style}" for style in self._styles)
            raise click.UsageError(f"{flags} cannot be combined; -o also writes JSON to a file")
        if self.run and not self.torch:
            raise click.UsageError("--run needs --against torch")
        if self.fail_over is not None and not self.compare:
            raise click.UsageError("--fail-over needs --compare")
        if self.quick and (self.repeats or self.samples):
            raise click.UsageError("--quick cannot be combined with --repeats or --samples")
        if self.output == Path(STDIN):
            raise click.UsageError("-o needs the name of a file; --json prints to stdout")
        if STDIN in self.images:
            raise click.UsageError("--images cannot be read from standard input; name a file or a folder")
        if self.picture and self.output and os.path.realpath(self.output) == os.path.realpath(self.picture):
            raise click.UsageError(f"-o and --picture would both write {printable(self.picture)}; name two files")
        self._check_operations()

    def _check_operations(self) -> None:
        """Refuse an engine that has none of the operations; for PyTorch, encode and decode are added."""
        from aeedge.benchmark.case import CLASSICS, operations_of

        for name in self.against:
            if name in CLASSICS and not set(operations_of(name)) & set(self.operation):
                raise click.UsageError(
                    f"--against {name} has only {' and '.join(operations_of(name))}, which --operation leaves out"
                )

    @property
    def _styles(self) -> list[str]:
        given = {"json": self.as_json, "csv": self.as_csv, "markdown": self.as_markdown}
        return [style for style, wanted in given.items() if wanted]

    @property
    def style(self) -> str:
        """How to print the report: as json, csv, markdown or text."""
        return self._styles[0] if self._styles else "text"

    @property
    def torch(self) -> bool:
        """Whether PyTorch is measured too."""
        return "torch" in self.against

    @property
    def effort(self) -> Effort:
        """How much to measure."""
        from aeedge.benchmark.protocol import QUICK, Effort

        if self.quick:
            return QUICK
        effort = replace(Effort(), repeats=self.repeats) if self.repeats else Effort()
        return replace(effort, samples=self.samples, samples_seconds=0.0) if self.samples else effort
