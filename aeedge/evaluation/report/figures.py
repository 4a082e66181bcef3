"""The charts of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from aeedge.evaluation.bdrate import rate_ratios
from aeedge.evaluation.evaluate import MS_SSIM_RANGE, SSIMULACRA2_RANGE, Evaluation
from aeedge.evaluation.metrics import in_decibels
from aeedge.evaluation.points import AEEDGE, Curve, CurvePoint, rates_and_psnr
from aeedge.evaluation.report.charts import Axis, Series, chart, legend
from aeedge.evaluation.small import FILES, SHEET

MARGIN_DB = 3.0
"""A chart goes so far beyond the range of the BD-rate."""


def curve_charts(evaluation: Evaluation) -> str:
    """Draw rate against PSNR and, where measured, MS-SSIM and SSIMULACRA2."""
    curves = _curves(evaluation)
    low, high = evaluation.span[0] - MARGIN_DB, evaluation.span[1] + MARGIN_DB
    x = _rate_axis(curves, lambda point: low <= point.psnr_db <= high)
    band = None if evaluation.measured_set else evaluation.span
    series = [_series(curve, lambda point: point.psnr_db, "dB") for curve in curves]
    charts = [chart("Rate against PSNR", series, x, Axis("PSNR in dB", low, high), band)]
    charts += _ratio_chart(evaluation)
    if all(point.ms_ssim is not None for curve in curves for point in curve.points):
        similar = [_series(curve, _ms_ssim_db, "dB of 1 − MS-SSIM") for curve in curves]
        bottom, top = MS_SSIM_RANGE[0] - 2, MS_SSIM_RANGE[1] + 2
        y = Axis("MS-SSIM in dB, −10 log(1 − MS-SSIM)", bottom, top)
        x = _rate_axis(curves, lambda point: bottom <= _ms_ssim_db(point) <= top)
        charts.append(chart("Rate against MS-SSIM", similar, x, y, MS_SSIM_RANGE))
    if all(point.ssimulacra2 is not None for curve in curves for point in curve.points):
        scored = [_series(curve, _score, "points") for curve in curves]
        worst, best = SSIMULACRA2_RANGE[0] - 20, SSIMULACRA2_RANGE[1] + 10
        x = _rate_axis(curves, lambda point: worst <= _score(point) <= best)
        charts.append(chart("Rate against SSIMULACRA2", scored, x, Axis("SSIMULACRA2", worst, best), SSIMULACRA2_RANGE))
    shaded = f'<p class="note">{"Shaded: the range of the BD-rate. " if band else ""}Up and to the left is better.</p>'
    return f'{legend(series)}<div class="charts">{"".join(charts)}</div>{shaded}'


def _ratio_chart(evaluation: Evaluation) -> list[str]:
    """Draw PSNR against bytes in percent of the first rival's: differences that the curves hide."""
    if evaluation.measured_set or not evaluation.rivals:
        return []
    first = evaluation.rivals[0].curve
    reference, span = rates_and_psnr(first), evaluation.span
    series = []
    for curve in _curves(evaluation):
        points = tuple(rate_ratios(rates_and_psnr(curve), reference, span))
        if points:
            series.append(Series(f"{style_of(curve.codec)} smooth", curve.title, points, ("",) * len(points)))
    values = [value for line in series for _, value in line.points]
    if not values:
        return []
    y = Axis(f"bytes in percent of {first.title}", min(values) - 5, max(values) + 5)
    return [chart("Bytes at equal PSNR", series, Axis("PSNR in dB", *span), y)]


def time_charts(evaluation: Evaluation) -> str:
    """Draw rate against the times to encode and decode."""
    curves = _curves(evaluation)
    low, high = evaluation.span[0] - MARGIN_DB, evaluation.span[1] + MARGIN_DB
    x = _rate_axis(curves, lambda point: low <= point.psnr_db <= high)
    charts, series = [], []
    ways: tuple[tuple[str, Callable[[CurvePoint], float]], ...] = (
        ("encode", lambda point: point.encode_ms),
        ("decode", lambda point: point.decode_ms),
    )
    for verb, value in ways:
        series = [_series(curve, value, f"ms to {verb}") for curve in curves]
        values = [number for line in series for _, number in line.points]
        y = Axis(f"ms to {verb} an image", min(values) / 1.3, max(values) * 1.3, logarithmic=True)
        charts.append(chart(f"Rate against time to {verb}", series, x, y))
    note = '<p class="note">Both axes are logarithmic. Down and to the left is better.</p>'
    return f'{legend(series)}<div class="charts">{"".join(charts)}</div>{note}'


def curve_values(evaluation: Evaluation) -> str:
    """Return the points of all curves as a collapsible table."""
    heads = ("Codec", "Quality", "Bits per pixel", "PSNR, dB", "MS-SSIM", "SSIMULACRA2", "Encode, ms", "Decode, ms")
    rows = []
    for curve in reversed(_curves(evaluation)):
        for point in curve.points:
            similar = "" if point.ms_ssim is None else f"{point.ms_ssim:.4f}"
            scored = "" if point.ssimulacra2 is None else f"{point.ssimulacra2:.1f}"
            cells = (
                escape(curve.title), str(point.quality), f"{point.rate_bpp:.3f}", f"{point.psnr_db:.2f}", similar,
                scored, f"{point.encode_ms:.3g}", f"{point.decode_ms:.3g}",
            )  # fmt: skip
            rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f'<th scope="col">{title}</th>' for title in heads)
    return (
        "<details><summary>All points as a table</summary>"
        '<div class="scroll" tabindex="0" role="region" aria-label="All points"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def style_of(codec: str) -> str:
    """Return the CSS classes of a codec's line."""
    files = " files" if codec.endswith(FILES) else ""
    base = codec.removesuffix(FILES).removesuffix(SHEET)
    return ("ours" if base == AEEDGE else base) + files


def _curves(evaluation: Evaluation) -> list[Curve]:
    """Return all curves, the bundle's last: it is drawn on top."""
    return [*reversed(evaluation.others), *(rival.curve for rival in reversed(evaluation.rivals)), evaluation.ours]


def _series(curve: Curve, value: Callable[[CurvePoint], float], unit: str) -> Series:
    labels = tuple(
        f"{curve.title}, quality {point.quality}: {point.rate_bpp:.3g} bits per pixel, {value(point):.4g} {unit}"
        for point in curve.points
    )
    points = tuple((point.rate_bpp, value(point)) for point in curve.points)
    return Series(style_of(curve.codec), curve.title, points, labels)


def _rate_axis(curves: Sequence[Curve], shown: Callable[[CurvePoint], bool]) -> Axis:
    points = [point for curve in curves for point in curve.points]
    rates = [point.rate_bpp for point in points if shown(point)] or [point.rate_bpp for point in points]
    return Axis("bits per pixel, logarithmic", min(rates) / 1.15, max(rates) * 1.15, logarithmic=True)


def _ms_ssim_db(point: CurvePoint) -> float:
    return in_decibels(point.ms_ssim or 0.0)


def _score(point: CurvePoint) -> float:
    return point.ssimulacra2 or 0.0
