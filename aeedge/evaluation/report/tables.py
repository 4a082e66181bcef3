"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from aeedge.evaluation.evaluate import Evaluation
from aeedge.evaluation.points import AEEDGE
from aeedge.evaluation.report.examples import middle_quality


def image_table(evaluation: Evaluation) -> str:
    """Return a row for every image: the bundle at its middle quality, and the difference to every codec."""
    quality = middle_quality(evaluation)
    found = {point.image: point for point in evaluation.points if point.codec == AEEDGE and point.quality == quality}
    similar = all(point.ms_ssim is not None for point in found.values())
    scored = all(point.ssimulacra2 is not None for point in found.values())
    heads = [
        "Image",
        "Pixels",
        "Bytes",
        "bpp",
        "PSNR, dB",
        *(["MS-SSIM"] if similar else []),
        *(["SSIMULACRA2"] if scored else []),
        "Encode, ms",
        "Decode, ms",
    ]
    heads += [f"{rival.curve.title}, %" for rival in evaluation.rivals]
    rows = []
    for name, point in found.items():
        cells = [
            _cell(name), _cell(f"{point.pixels:,}", point.pixels), _cell(f"{point.total_bytes:,}", point.total_bytes),
            _cell(f"{point.rate_bpp:.3f}"), _cell(f"{point.psnr_db:.2f}"),
            *([_cell(f"{point.ms_ssim:.4f}")] if similar else []),
            *([_cell(f"{point.ssimulacra2:.1f}")] if scored else []),
            _cell(f"{point.encode_ms:.1f}"), _cell(f"{point.decode_ms:.1f}"),
        ]  # fmt: skip
        cells += [_difference(rival.images[name]) for rival in evaluation.rivals]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    note = (
        f"aeedge at quality {quality}; then the image's own BD-rate against each codec over "
        f"{evaluation.span[0]:g} to {evaluation.span[1]:g} dB (a dash where a curve of that image does not cover it). "
        "Every single measurement is in results.csv."
    )
    return f'<p class="note" style="margin:-6px 0 14px">{note}</p>{_table(heads, rows, sortable=True)}'


def match_table(evaluation: Evaluation) -> str:
    """Compare files of small images with the smallest classic file of each, and with archives."""
    measured = evaluation.measured_set
    if measured is None:
        return ""
    images = evaluation.data["images"]
    heads = ["Quality", "PSNR, dB", "aeedge, one stream", "classic, one sheet", "which"]
    heads += ["aeedge, a file each", "classic, a file each", "mostly"]
    rows = []
    for match in measured.matches:
        favorite = max(match.chosen, key=lambda name: match.chosen[name])
        share = match.chosen[favorite] / images
        cells = [
            _cell(str(match.quality)), _cell(f"{match.psnr_db:.2f}"), _cell(f"{match.packed_bytes / images:.1f}"),
            _cell(f"{match.sheet_bytes / images:.1f}"), _cell(match.sheet), _cell(f"{match.file_bytes / images:.1f}"),
            _cell(f"{match.best_bytes / images:.1f}"), _cell(f"{favorite} ({share:.0%})"),
        ]  # fmt: skip
        rows.append(f"<tr>{''.join(cells)}</tr>")
    lossless = [
        f"<tr>{_cell(name)}{_cell(f'{octets / images:.1f}')}{_cell(f'{octets:,}')}</tr>"
        for name, octets in sorted(measured.lossless.items(), key=lambda item: item[1])
    ]
    note = (
        "Bytes an image. One sheet: all images on one canvas, the smallest among all classic codecs and qualities "
        "that is at least as good as the stream. A file each: the same, chosen for every image against aeedge's own "
        "file of it; lossless formats take part."
    )
    return (
        f'<p class="note" style="margin:-6px 0 14px">{note}</p>{_table(heads, rows, sortable=False)}'
        f'<h3 style="margin-top:24px">The set without loss</h3>'
        f"{_table(['Form', 'Bytes an image', 'Bytes'], lossless, sortable=False)}"
    )


def _table(heads: Sequence[str], rows: Sequence[str], *, sortable: bool) -> str:
    cells = (f'<button type="button">{escape(title)}</button>' if sortable else escape(title) for title in heads)
    head = "".join(f'<th scope="col">{cell}</th>' for cell in cells)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(text: str, value: float | None = None) -> str:
    data = "" if value is None else f' data-value="{value}"'
    return f"<td{data}>{escape(text)}</td>"


def _difference(percent: float | None) -> str:
    if percent is None:
        return '<td class="none" data-value="">–</td>'
    kind = "win" if percent < 0 else "loss"
    return f'<td class="{kind}" data-value="{percent:.3f}">{f"{percent:+.1f}".replace("-", "−")}</td>'
