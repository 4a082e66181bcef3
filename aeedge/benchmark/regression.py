"""Compares two reports: finds cases that became slower by more than a limit and by more than the noise."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeedge.benchmark.case import Case
from aeedge.figures import figure
from aeedge_runtime.errors import ArgumentError, InputError

SCHEMA = 1

LEAST_SHARE = 0.02
"""A stage must become slower by this share of its operation's time to count: tiny ones double without any effect."""


@dataclass(frozen=True)
class Change:
    """The median of one figure, before and now.

    Attributes:
        case: what was measured.
        figure: "total" or the name of a stage.
        before_ms: median then.
        now_ms: median now.
        noise_percent: the larger noise floor of the two measurements.
        regression: whether it is slower by more than the limit and by more than the noise.
    """

    case: Case
    figure: str
    before_ms: float
    now_ms: float
    noise_percent: float
    regression: bool

    @property
    def percent(self) -> float:
        """Change in percent; positive is slower, infinity where there was nothing before."""
        if not self.before_ms:
            return float("inf") if self.now_ms else 0.0
        return 100 * (self.now_ms / self.before_ms - 1)

    def __str__(self) -> str:
        return (
            f"{self.case}: {self.figure} {figure(self.before_ms)} -> {figure(self.now_ms)} ms "
            f"({self.percent:+.1f} %, noise {self.noise_percent:.1f} %)"
        )


@dataclass(frozen=True)
class Comparison:
    """Changes of every case that both measurements have.

    Attributes:
        changes: totals and stages.
        missing: cases of one measurement only.
        notes: differences of machine, software or bundle, one sentence each.
    """

    changes: list[Change]
    missing: list[Case]
    notes: list[str]

    @property
    def regressions(self) -> list[Change]:
        """The changes that count."""
        return [change for change in self.changes if change.regression]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        changes = [
            {
                "config": change.case.to_dict(),
                "figure": change.figure,
                "before_ms": change.before_ms,
                "now_ms": change.now_ms,
                "noise_percent": change.noise_percent,
                "regression": change.regression,
            }
            for change in self.changes
        ]
        return {"changes": changes, "missing": [case.to_dict() for case in self.missing], "notes": self.notes}


def read_report(path: Path) -> dict[str, Any]:
    """Read what `aeedge bench --json` wrote.

    Raises:
        InputError: it is no such file, or of another version.
    """
    try:
        content = json.loads(path.read_text())
        schema = content["schema"]
        if schema == SCHEMA:
            compare(content, content, 0.0)  # looks at all that will be looked at, now and not after minutes
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; name a file that aeedge bench --json wrote"
        ) from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: found no benchmark in it ({error}), expected what aeedge bench --json wrote"
        ) from error
    if schema != SCHEMA:
        raise InputError(f"{path}: found schema {schema}, expected {SCHEMA}; measure again with this version")
    return dict(content)


def compare(before: Mapping[str, Any], now: Mapping[str, Any], fail_over_percent: float) -> Comparison:
    """Compare two reports.

    Args:
        before: the older one.
        now: the newer one.
        fail_over_percent: what a figure may become slower.

    Raises:
        ArgumentError: they have no case in common.
    """
    old, new = _by_case(before), _by_case(now)
    common = common_cases(old, new)
    changes = [change for case in common for change in _changes(case, old[case], new[case], fail_over_percent)]
    missing = [case for case in (*old, *new) if case not in common]
    return Comparison(changes, missing, _notes(before["environment"], now["environment"]))


def cases_of(report: Mapping[str, Any]) -> list[Case]:
    """Return what a report measured."""
    return list(_by_case(report))


def common_cases(before: Collection[Case], now: Iterable[Case]) -> list[Case]:
    """Return the cases that can be compared.

    Raises:
        ArgumentError: there is none.
    """
    common = [case for case in now if case in before]
    if not common:
        raise ArgumentError("the two measurements have no configuration in common; measure the same sizes and threads")
    return common


def _by_case(report: Mapping[str, Any]) -> dict[Case, Mapping[str, Any]]:
    return {Case.from_dict(result["config"]): result for result in report["results"]}


def _changes(case: Case, old: Mapping[str, Any], new: Mapping[str, Any], limit_percent: float) -> list[Change]:
    whole_ms = old["total"]["p50_ms"]
    changes = [_change(case, "total", old["total"], new["total"], limit_percent, 0.0)]
    nothing = {"p50_ms": 0.0, "noise_percent": 0.0}
    for name in dict.fromkeys((*old["stages"], *new["stages"])):
        pair = old["stages"].get(name, nothing), new["stages"].get(name, nothing)
        changes.append(_change(case, name, *pair, limit_percent, LEAST_SHARE * whole_ms))
    return changes


def _change(
    case: Case, figure: str, old: Mapping[str, Any], new: Mapping[str, Any], limit_percent: float, least_ms: float
) -> Change:
    noise = max(figures["noise_percent"] or 0.0 for figures in (old, new))  # None: timed in one process only
    before, now = old["p50_ms"], new["p50_ms"]
    slower = now > before * (1 + max(limit_percent, noise) / 100) and now - before > least_ms
    return Change(case, figure, before, now, noise, slower)


def _notes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = ("cpu", "cores_available", "governor", "system", "python", "numpy", "onnxruntime", "aeedge")
    notes = [f"{key} was {before.get(key)}, is {now.get(key)}" for key in keys if before.get(key) != now.get(key)]
    ids = [report.get("bundle", {}).get("hash") for report in (before, now)]
    if ids[0] != ids[1]:
        notes.append("the bundles differ")
    if before.get("gpus") != now.get("gpus"):
        notes.append("the GPUs, or their drivers, differ")
    if before.get("pictures") != now.get("pictures"):
        notes.append("the images differ")
    return notes
