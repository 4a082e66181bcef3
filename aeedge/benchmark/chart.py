"""A picture of a report: one bar per case, cut into its stages; needs the `report` extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aeedge.benchmark.case import Case
from aeedge.benchmark.tables import number, words
from aeedge_runtime.errors import AeedgeError

ROW_INCHES = 0.45


def draw_chart(results: Sequence[Mapping[str, Any]], caption: str, path: Path) -> None:
    """Write a PNG, SVG or PDF.

    Args:
        results: of a report; each bar is as long as the mean time of a call, a line ends at its 95th percentile.
        caption: machine and software.
        path: where; the suffix decides the format.

    Raises:
        AeedgeError: matplotlib is missing, or does not know the format.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise AeedgeError('found no matplotlib, which pictures need; run: pip install "aeedge[report]"') from error
    figure = Figure(figsize=(11, 1.8 + ROW_INCHES * len(results)), layout="constrained")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for result in results for name in result["stages"]))
    for row, result in enumerate(results):
        _draw_bar(axes, row, result, names)
    axes.set_yticks(range(len(results)), [_label(result) for result in results], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ms per call (mean by stage; line to the 95th percentile)")
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7, ncols=6, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    figure.supxlabel(caption, fontsize=6, color="0.4")
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise AeedgeError(f"{path}: {error}; name a .png, .svg or .pdf") from error


def _draw_bar(axes: Any, row: int, result: Mapping[str, Any], names: Sequence[str]) -> None:
    left = 0.0
    for place, name in enumerate(names):
        if name not in result["stages"]:
            continue
        width = result["stages"][name]["mean_ms"]
        axes.barh(
            row, width, left=left, height=0.7, color=f"C{place % 10}", hatch="//" * (place // 10), label=words(name)
        )
        left += width
    total = result["total"]
    axes.plot([total["p50_ms"], total["p95_ms"]], [row, row], color="black", linewidth=1)
    axes.annotate(f" {number(total['p50_ms'])}", (max(left, total["p95_ms"]), row), va="center", fontsize=8)


def _label(result: Mapping[str, Any]) -> str:
    case = Case.from_dict(result["config"])
    return f"{case.engine} {case.operation} {case.size}\n{case.device} x {case.threads}"
