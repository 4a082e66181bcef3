"""Writes the evaluation as one self-contained HTML file: verdict, charts, examples and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from aeedge.evaluation.bdrate import Difference
from aeedge.evaluation.evaluate import MS_SSIM_RANGE, SSIMULACRA2_RANGE, Evaluation
from aeedge.evaluation.report.examples import Example
from aeedge.evaluation.report.figures import curve_charts, curve_values, time_charts
from aeedge.evaluation.report.tables import image_table, match_table
from aeedge.evaluation.verdict import NOTE, judged, verdict
from aeedge.figures import count, size

KINDS = {"win": "Wins", "loss": "Loses", "even": "Even", "note": "Note"}


def to_html(evaluation: Evaluation, examples: Sequence[Example]) -> bytes:
    """Return the report."""
    small = evaluation.measured_set is not None
    parts = {
        "name": escape(str(evaluation.model["name"])),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "lead": escape(_lead(evaluation)),
        "links": '<a href="#pictures">Pictures</a>' if examples else "",
        "cards": "".join(_cards(evaluation)),
        "cards_note": escape(_cards_note(evaluation)),
        "curves": curve_charts(evaluation) + curve_values(evaluation),
        "time": time_charts(evaluation),
        "pictures": _pictures(examples),
        "table_title": "Bytes an image" if small else "Every image",
        "table": match_table(evaluation) if small else image_table(evaluation),
        "method": _method(evaluation),
        "verdict": _verdict(evaluation),
        "footer": f"Made by aeedge {escape(str(evaluation.environment['aeedge']))}, {escape(_date(evaluation))}.",
    }
    return Template(_resource("page.html")).substitute(parts).encode()


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _date(evaluation: Evaluation) -> str:
    return str(evaluation.environment["date"])


def _lead(evaluation: Evaluation) -> str:
    model, data = evaluation.model, evaluation.data
    sizes = ", ".join(data["sizes"]) + (" and others" if data["size_kinds"] > len(data["sizes"]) else "")
    return (
        f"{model['family']} bundle, preset {model['preset']}, stream id {model['stream_id']}; "
        f"{count(data['images'], 'image')} of {sizes} from {data['place']}; real files, headers included."
    )


def _cards(evaluation: Evaluation) -> Iterable[str]:
    yield from (_match_cards(evaluation) if evaluation.measured_set else ())
    for rival in evaluation.rivals:
        title, kind = f"against {rival.curve.title}", judged(rival.psnr)
        covered = rival.covered
        more = f"smaller on {sum(percent < 0 for percent in covered)} of {len(covered)} images" if covered else ""
        if evaluation.measured_set and rival.psnr.percent is not None:
            more = "{:g} to {:g} dB".format(*rival.psnr.span)
        yield _card(title, kind, rival.psnr.percent, more)


def _match_cards(evaluation: Evaluation) -> Iterable[str]:
    """Describe small images at the middle quality: stream against best sheet, files against best files."""
    match = evaluation.matches[len(evaluation.matches) // 2]
    at = f"quality {match.quality}, {match.psnr_db:.1f} dB"
    for what, ours, theirs in (
        ("one stream against the best sheet", match.packed_bytes, match.sheet_bytes),
        ("a file each against the best files", match.file_bytes, match.best_bytes),
    ):
        percent = (ours / theirs - 1) * 100
        yield _card(what, judged(Difference(evaluation.span, percent)), percent, at)


def _card(title: str, kind: str, percent: float | None, more: str) -> str:
    if percent is None:
        return f'<li class="note-kind"><span>{escape(title)}</span><strong>not covered</strong></li>'
    figure = f"{percent:+.1f} %".replace("-", "−")
    below = f"<span>{escape(more)}</span>" if more else ""
    return f'<li class="{kind}"><span>{escape(title)}</span><strong>{figure}</strong>{below}</li>'


def _cards_note(evaluation: Evaluation) -> str:
    if evaluation.measured_set:
        return (
            "Bytes at equal or better PSNR; less than 0 is fewer bytes. Against one codec: BD-rate over the range "
            "named, which is the one that both share unless one was requested."
        )
    low, high = evaluation.span
    text = f"Bytes at equal PSNR (BD-rate, {low:g} to {high:g} dB, on the mean curves); less than 0 is fewer bytes."
    reasons = dict.fromkeys(rival.psnr.reason for rival in evaluation.rivals if judged(rival.psnr) == NOTE)
    return f"{text} {''.join(f'Not covered: {reason}. ' for reason in reasons)}".strip()


def _pictures(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    guide = (
        "The classic codec is at the quality that comes nearest in bytes. Drag across a picture, or focus it with Tab "
        "and use the arrow keys; Home and End show one side alone."
    )
    figures = "".join(_figure(number, example) for number, example in enumerate(examples))
    return (
        '<section id="pictures"><h2>Pictures at equal bytes</h2>'
        f'<p class="note" style="margin:-6px 0 18px">{guide}</p>'
        f'<div class="examples">{figures}</div></section>'
    )


def _figure(number: int, example: Example) -> str:
    ours, theirs, original = example.views
    zoom = example.zoom
    style = ' class="{}' + (' pixelated"' if zoom > 1 else '"')
    sides = f'width="{example.width * zoom}" height="{example.height * zoom}"'
    radios = "".join(
        f'<label><input type="radio" name="right-{number}" value="{place}" data-title="{escape(view.title)}" '
        f'data-facts="{escape(view.facts)}"{" checked" if place == 1 else ""}> {escape(view.title)}</label>'
        for place, view in enumerate(example.views)
        if place > 0
    )
    title = escape(f"{example.name}: how much is shown of {ours.title}")
    right = f'<b class="right-title">{escape(theirs.title)}</b> <span class="right-facts">{escape(theirs.facts)}</span>'
    return (
        f'<figure class="example" data-left="{escape(ours.title)}"><h3>{escape(example.name)}</h3>'
        f'<p class="why">{escape(example.why)}</p>'
        f'<fieldset class="choice"><legend>Right side:</legend>{radios}</fieldset>'
        f'<div class="stage" style="--cut:50%"><img{style.format("under")} {sides} src="{theirs.url}" '
        f'alt="{escape(f"{example.name}: {theirs.title}")}"><img{style.format("over")} {sides} src="{ours.url}" '
        f'alt="{escape(f"{example.name}: {ours.title}")}"><div class="handle"></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{title}"></div>'
        f'<figcaption class="sides"><div><b>{escape(ours.title)}</b> <span>{escape(ours.facts)}</span></div>'
        f'<div>{right}</div></figcaption><img class="stock" hidden alt="" src="{original.url}"></figure>'
    )


def _method(evaluation: Evaluation) -> str:
    low, high = evaluation.span
    measured = evaluation.measured_set
    environment = evaluation.environment
    rows = {
        "Bytes": "of the real file, header, checks and tables included; metadata is left out everywhere",
        "PSNR": "over all channels, of the 8-bit image that comes out of the file",
        "Curves": "at each quality of a codec: mean of bits per pixel and of every metric over the images",
        "BD-rate": f"package bjontegaard, PCHIP, on these mean curves, from {low:g} to {high:g} dB; both curves must "
        "cover the range, nothing is extrapolated",
        "Time": f"wall clock, one run of each, median over images; {count(environment['threads'], 'thread')}, "
        f"{count(environment['jobs'], 'process')}, images from and to memory",
        "Settings": "; ".join(rival.curve.title for rival in evaluation.rivals)
        + " (JPEG: optimized tables, 4:2:0; one thread for WebP)",
        "Machine": f"{environment['cpu']}, {count(environment['cores'], 'core')}, {environment['system']}",
        "Software": f"Pillow {environment['pillow']}, onnxruntime {environment['onnxruntime']}, "
        f"NumPy {environment['numpy']}, Python {environment['python']}",
    }
    if measured:
        smallest = sorted(measured.lossless.items(), key=lambda item: item[1])
        rows["BD-rate"] = "package bjontegaard, PCHIP, over the range named with each figure; nothing is extrapolated"
        rows["PSNR"] = "of the squared error over all values of all images"
        rows["Curves"] = "of the whole set: the bundle packs it into one stream, a classic codec gets one image of all"
        rows["Lossless"] = "; ".join(f"{name} {size(octets)}" for name, octets in smallest)
    if any(rival.ms_ssim for rival in evaluation.rivals):
        rows["MS-SSIM"] = f"five scales, mean over channels; as BD-rate from {MS_SSIM_RANGE[0]:g} to "
        rows["MS-SSIM"] += f"{MS_SSIM_RANGE[1]:g} dB of 1 − MS-SSIM"
    if any(rival.ssimulacra2 for rival in evaluation.rivals):
        rows["SSIMULACRA2"] = "of the package ssimulacra2; as BD-rate from "
        rows["SSIMULACRA2"] += f"{SSIMULACRA2_RANGE[0]:g} to {SSIMULACRA2_RANGE[1]:g} points"
    body = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return f"<dl>{body}</dl>"


def _verdict(evaluation: Evaluation) -> str:
    items = "".join(
        f'<li class="{sentence.kind}"><b>{KINDS[sentence.kind]}</b> {escape(sentence.text)}</li>'
        for sentence in verdict(evaluation)
    )
    return f'<ul class="findings">{items}</ul>'
