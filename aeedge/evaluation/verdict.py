"""Puts the verdict into words: where the bundle wins, where a classic codec is better, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aeedge.evaluation.bdrate import Difference, Range
from aeedge.evaluation.evaluate import Evaluation, Rival
from aeedge.evaluation.points import Curve
from aeedge.figures import count, figure

EVEN_PERCENT = 1.0
"""A difference in bytes that is called none."""

EVEN_TIME = 1.25
"""A ratio of times that is called none."""

WIN, LOSS, EVEN, NOTE = "win", "loss", "even", "note"


@dataclass(frozen=True)
class Sentence:
    """One finding; `kind` is win, loss, even or note, seen from the bundle."""

    kind: str
    text: str


def verdict(evaluation: Evaluation) -> tuple[Sentence, ...]:
    """Return the findings, wins first, advice last."""
    if evaluation.measured_set:
        findings = [*_about_files(evaluation), *(_about_sheet(rival) for rival in evaluation.rivals)]
    else:
        findings = [_about(rival, evaluation) for rival in evaluation.rivals]
        findings += [_about_score(rival, rival.ssimulacra2) for rival in evaluation.rivals if rival.ssimulacra2]
    order = {WIN: 0, EVEN: 1, LOSS: 2, NOTE: 3}
    findings.sort(key=lambda finding: order[finding.kind])
    return (*findings, *_advice(evaluation))


def judged(difference: Difference) -> str:
    """Return the kind of a difference in bytes."""
    if difference.percent is None:
        return NOTE
    if abs(difference.percent) < EVEN_PERCENT:
        return EVEN
    return WIN if difference.percent < 0 else LOSS


def in_words(percent: float) -> str:
    """`12.3 % fewer bytes`, `4.0 % more bytes`; beyond 100 % as a factor."""
    if percent > 100:
        return f"{1 + percent / 100:.1f} times the bytes"
    return f"{abs(percent):.1f} % {'fewer' if percent < 0 else 'more'} bytes"


def typical_ms(curve: Curve, span: Range) -> tuple[float, float]:
    """Return median times to encode and decode at the qualities within a range of PSNR, or at all qualities."""
    inside = [point for point in curve.points if span[0] <= point.psnr_db <= span[1]] or list(curve.points)
    encode = float(np.median([point.encode_ms for point in inside]))
    return encode, float(np.median([point.decode_ms for point in inside]))


def _about(rival: Rival, evaluation: Evaluation) -> Sentence:
    title, kind = rival.curve.title, judged(rival.psnr)
    if rival.psnr.percent is None:
        return Sentence(NOTE, f"Against {title}: not covered. {rival.psnr.reason}.")
    text = f"Against {title}: {in_words(rival.psnr.percent)} at equal PSNR, {_range(rival.psnr)}"
    text += f" ({_course(rival.psnr)})."
    if covered := rival.covered:
        fewer = sum(percent < 0 for percent in covered)
        part = "" if len(covered) == len(rival.images) else " whose own curves cover the range"
        mean = _signed(float(np.mean(covered)))
        text += f" Smaller on {fewer} of the {count(len(covered), 'image')}{part}; mean of their BD-rates {mean}."
    if kind != NOTE and _mixed(rival.psnr):
        parts = " and ".join(f"{low:.1f} to {high:.1f} dB" for low, high in rival.psnr.smaller)
        text += f" It is the smaller one only from {parts}."
    if rival.ms_ssim and rival.ms_ssim.percent is not None:
        text += f" By MS-SSIM: {in_words(rival.ms_ssim.percent)}."
    return Sentence(kind, f"{text} {_times(evaluation, rival)}")


def _about_score(rival: Rival, difference: Difference) -> Sentence:
    title = rival.curve.title
    if difference.percent is None:
        return Sentence(NOTE, f"By SSIMULACRA2 against {title}: not covered. {difference.reason}.")
    words = f"{in_words(difference.percent)} at equal score, {_range(difference)} ({_course(difference)})"
    return Sentence(judged(difference), f"By SSIMULACRA2 against {title}: {words}.")


def _about_sheet(rival: Rival) -> Sentence:
    title = rival.curve.title
    if rival.psnr.percent is None:
        return Sentence(NOTE, f"All images in one stream against {title}: not covered. {rival.psnr.reason}.")
    words = f"{in_words(rival.psnr.percent)} at equal PSNR, {_range(rival.psnr)} ({_course(rival.psnr)})"
    return Sentence(judged(rival.psnr), f"All images in one stream against {title}: {words}.")


def _about_files(evaluation: Evaluation) -> list[Sentence]:
    """Compare files of single images, and archives."""
    measured = evaluation.measured_set
    if measured is None or not measured.matches:
        return []
    images = evaluation.data["images"]
    match = measured.matches[len(measured.matches) // 2]
    favorite = max(match.chosen, key=lambda name: match.chosen[name])
    stream = _compared(
        f"All images in one stream, quality {match.quality} ({match.psnr_db:.1f} dB)",
        (match.packed_bytes / images, match.sheet_bytes / images),
        f"one canvas of all that is as good ({match.sheet})",
    )
    single = _compared(
        f"A file for each image, quality {match.quality}",
        (match.file_bytes / images, match.best_bytes / images),
        f"the smallest classic file that is as good, found for each image (mostly {favorite})",
    )
    name = min(measured.lossless, key=lambda key: measured.lossless[key])
    exact = measured.lossless[name] / images
    ratio = match.packed_bytes / images / exact
    archive = Sentence(
        NOTE if ratio < 1 else LOSS,
        f"The smallest lossless form of the set ({name}) takes {exact:.1f} bytes an image"
        + (
            f"; the stream takes {ratio * 100:.0f} % of that at quality {match.quality}."
            if ratio < 1
            else f", fewer than the stream at quality {match.quality}: keep the images losslessly instead."
        ),
    )
    return [stream, single, archive]


def _compared(what: str, bytes_each: tuple[float, float], rival: str) -> Sentence:
    ours, theirs = bytes_each
    percent = (ours / theirs - 1) * 100
    kind = WIN if percent < -EVEN_PERCENT else LOSS if percent > EVEN_PERCENT else EVEN
    return Sentence(kind, f"{what}: {ours:.1f} bytes an image against {theirs:.1f} of {rival}: {in_words(percent)}.")


def _advice(evaluation: Evaluation) -> list[Sentence]:
    """Say which codec to choose when."""
    beaten = [rival for rival in evaluation.rivals if judged(rival.psnr) == WIN]
    better = sorted(
        (rival for rival in evaluation.rivals if judged(rival.psnr) == LOSS),
        key=lambda rival: -(rival.psnr.percent or 0),
    )
    advice = []
    if beaten:
        names = _joined([rival.curve.title for rival in beaten])
        advice.append(Sentence(NOTE, f"Choose this bundle over {names} where bytes decide and both ends can run it."))
    elif not better and not evaluation.measured_set:
        text = "Nothing here speaks for this bundle over a classic codec by bytes"
        if evaluation.rivals and all(rival.psnr.percent is None for rival in evaluation.rivals):
            text += ", as nothing could be compared: choose a --psnr-range that both curves cover, or more qualities"
        advice.append(Sentence(NOTE, f"{text}."))
    if better:
        first = better[0]
        fewer = 100 - 100 / (1 + (first.psnr.percent or 0) / 100)
        names = f"{first.curve.title} is the better choice by bytes: {fewer:.1f} % fewer at equal PSNR."
        if len(better) > 1:
            names += f" So, by less, {_verb(len(better) - 1)} {_joined([rival.curve.title for rival in better[1:]])}."
        advice.append(Sentence(NOTE, names))
    best = max(point.psnr_db for point in evaluation.ours.points)
    highest = max((max(point.psnr_db for point in rival.curve.points) for rival in evaluation.rivals), default=best)
    if best < highest - 1:
        text = f"This bundle tops out at {best:.1f} dB here; for higher quality, use a classic codec."
        advice.append(Sentence(NOTE, text))
    return [*advice, *_time_advice(evaluation)]


def _time_advice(evaluation: Evaluation) -> list[Sentence]:
    if not evaluation.rivals:
        return []
    ours = typical_ms(evaluation.ours, evaluation.span)
    sentences = []
    for index, verb in enumerate(("encode", "decode")):
        times = {rival.curve.title: typical_ms(rival.curve, evaluation.span)[index] for rival in evaluation.rivals}
        fastest = min(times, key=lambda title: times[title])
        if ours[index] > times[fastest] * EVEN_TIME:
            text = f"Where time to {verb} decides, {fastest} is the better choice: {figure(times[fastest])} ms against "
            sentences.append(Sentence(NOTE, f"{text}{figure(ours[index])} ms."))
        else:
            sentences.append(
                Sentence(NOTE, f"It takes {figure(ours[index])} ms to {verb}: no classic codec is clearly faster.")
            )
    return sentences


def _times(evaluation: Evaluation, rival: Rival) -> str:
    ours, theirs = typical_ms(evaluation.ours, evaluation.span), typical_ms(rival.curve, evaluation.span)
    return f"Encoding {_against(ours[0], theirs[0])}, decoding {_against(ours[1], theirs[1])}."


def _against(ours_ms: float, theirs_ms: float) -> str:
    times = f"({figure(ours_ms)} against {figure(theirs_ms)} ms)"
    if max(ours_ms, theirs_ms) < EVEN_TIME * min(ours_ms, theirs_ms):
        return f"takes about as long {times}"
    if ours_ms < theirs_ms:
        return f"is {figure(theirs_ms / ours_ms, 2)} times faster {times}"
    return f"is {figure(ours_ms / theirs_ms, 2)} times slower {times}"


def _course(difference: Difference) -> str:
    """Describe the difference from the low to the high end."""
    (low, first), (high, last) = difference.at[0], difference.at[-1]
    return f"{_signed(first)} at {low:g} {difference.unit}, {_signed(last)} at {high:g} {difference.unit}"


def _mixed(difference: Difference) -> bool:
    """Return whether the curves cross inside the range."""
    signs = {percent < 0 for _, percent in difference.at}
    return bool(difference.smaller) and len(signs) == 2


def _signed(percent: float) -> str:
    return f"{percent:+.1f} %".replace("-", "−")


def _range(difference: Difference) -> str:
    return f"{difference.span[0]:g} to {difference.span[1]:g} {difference.unit}"


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"
