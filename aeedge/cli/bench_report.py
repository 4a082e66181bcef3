"""Shows what `aeedge bench` measured: as text, JSON, CSV, Markdown or a chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import JSON_SCHEMA, complain, print_json, say
from aeedge.figures import table

if TYPE_CHECKING:
    from aeedge.benchmark.measure import Report
    from aeedge.benchmark.regression import Comparison


@dataclass(frozen=True)
class BenchReport:
    """A benchmark and, where there is one, its comparison with an earlier one."""

    report: Report
    comparison: Comparison | None

    @property
    def content(self) -> dict[str, Any]:
        """The report as plain values."""
        content = {"command": "bench", **self.report.as_dict()}
        return content | ({"comparison": self.comparison.as_dict()} if self.comparison else {})

    def as_json(self) -> str:
        """Return the content of a JSON file."""
        return json.dumps({"schema": JSON_SCHEMA, **self.content}, indent=1) + "\n"

    def show(self, style: str) -> None:
        """Print the report as "json", "csv", "markdown" or "text"."""
        from aeedge.benchmark import tables

        facts = tables.facts(self.report.environment)
        if style == "json":
            print_json(self.content)
        elif style == "csv":
            click.echo(tables.as_csv(self.report.results), nl=False)
        elif style == "markdown":
            say(tables.as_markdown(self._tables(), facts))
        else:
            for fact in facts:
                say(fact)
            for part in self._tables():
                say(f"\n{part.title}\n\n{table(part.headers, part.rows, part.words)}")

    def chart(self, suffix: str) -> bytes:
        """Return a chart of the stages in the format of a file suffix."""
        from aeedge.benchmark.chart import draw_chart
        from aeedge.benchmark.tables import facts

        return draw_chart(self.report.results, ", ".join(facts(self.report.environment)), suffix)

    def complain(self) -> None:
        """Print an error for everything that became slower."""
        for change in self._regressions:
            complain(f"slower: {change}")

    @property
    def exit_code(self) -> int:
        """1 if anything became slower, else 0."""
        return 1 if self._regressions else 0

    @property
    def _regressions(self) -> Sequence[object]:
        return self.comparison.regressions if self.comparison else ()

    def _tables(self) -> list[Any]:
        from aeedge.benchmark import tables

        compared = [tables.comparison_table(self.comparison.changes)] if self.comparison else []
        return [*tables.tables(self.report.results), *compared]
