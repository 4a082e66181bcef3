"""Draws a report: one bar per case, divided into its stages. Needs the `report` extra."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from aeedge.benchmark.case import Case
from aeedge.benchmark.tables import number, words
from aeedge.extras import require_extra
from aeedge_runtime.errors import ArgumentError

ROW_INCHES = 0.45

COLORS = {
    **dict.fromkeys(("load_image", "to_image"), "#8da0cb"),
    "to_tensor": "#c3cce4",
    **dict.fromkeys(("encoder_graph", "decoder_graph"), "#1f5fa8"),
    "hyper_encoder_graph": "#2aa198",
    "prior_graph": "#7fd1c7",
    **dict.fromkeys(("quantise", "dequantise"), "#e8c547"),
    **dict.fromkeys(("entropy_encode", "entropy_decode"), "#e0722d"),
    **dict.fromkeys(("write_container", "read_container"), "#a83232"),
    **dict.fromkeys(("encode", "decode"), "#777777"),
    "other": "#d0d0d0",
}
"""Both directions of one idea have one color."""


FORMATS = (".png", ".svg", ".pdf")


def require_chart(suffix: str) -> None:
    """Check, before anything is measured, that a chart can be drawn.

    Raises:
        ArgumentError: a suffix of no known format.
        AeedgeError: matplotlib is missing.
    """
    if suffix.lower() not in FORMATS:
        raise ArgumentError(f"--picture: found {suffix or 'no suffix'}, expected one of {', '.join(FORMATS)}")
    require_extra("report", ["matplotlib"], "charts need")


def draw_chart(results: Sequence[Mapping[str, Any]], caption: str, suffix: str) -> bytes:
    """Return the bytes of a PNG, SVG or PDF.

    Args:
        results: of a report; each bar is as long as the median of a call, a line ends at its 95th percentile.
        caption: machine and software.
        suffix: of the file, one of FORMATS.

    Raises:
        ArgumentError, AeedgeError: see `require_chart`.
    """
    require_chart(suffix)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.8 + ROW_INCHES * len(results)), layout="constrained")
    axes = figure.add_subplot()
    for row, result in enumerate(results):
        _draw_bar(axes, row, result)
    axes.set_yticks(range(len(results)), [_label(result) for result in results], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ms per call (median; line to the 95th percentile)")
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7, ncols=6, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    figure.supxlabel(caption, fontsize=6, color="0.4")
    buffer = BytesIO()
    figure.savefig(buffer, dpi=150, format=suffix.lower().removeprefix("."))
    return buffer.getvalue()


def _draw_bar(axes: Any, row: int, result: Mapping[str, Any]) -> None:
    """Draw a bar as long as the median, cut by the stages' shares."""
    total, left = result["total"], 0.0
    for name, stage in result["stages"].items():
        width = total["p50_ms"] * stage["share_percent"] / 100
        axes.barh(row, width, left=left, height=0.7, color=COLORS.get(name, "0.6"), label=words(name))
        left += width
    axes.plot([total["p50_ms"], total["p95_ms"]], [row, row], color="black", linewidth=1)
    axes.annotate(f" {number(total['p50_ms'])}", (max(left, total["p95_ms"]), row), va="center", fontsize=8)


def _label(result: Mapping[str, Any]) -> str:
    case = Case.from_dict(result["config"])
    return f"{case.engine} {case.operation} {case.size}\n{case.device} x {case.threads}"
