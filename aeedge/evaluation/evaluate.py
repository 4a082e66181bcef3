"""Evaluates a bundle: measures, averages and compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from aeedge.classic import ClassicCodec
from aeedge.evaluation.bdrate import Difference, Range, compare_curves
from aeedge.evaluation.data import EvaluationImage
from aeedge.evaluation.measure import Plan, Progress, measure_image, silent, warm_up
from aeedge.evaluation.points import (
    AEEDGE,
    EXACT_DB,
    Curve,
    Point,
    average,
    rates_and_ms_ssim,
    rates_and_psnr,
    rates_and_ssimulacra2,
)
from aeedge.evaluation.small import FILES, SHEET, Match, SetMeasurement, measure_set
from aeedge.machine import environment
from aeedge_runtime import Codec

PSNR_RANGE = (28.5, 36.0)
"""Default range of a BD-rate on photographs, in dB: from visibly damaged to hardly distinguishable."""

MS_SSIM_RANGE = (12.0, 18.0)
"""Range of a BD-rate by MS-SSIM, in dB of 1 - MS-SSIM: 0.937 to 0.984, where the PSNR range falls on photographs."""

SSIMULACRA2_RANGE = (50.0, 80.0)
"""Range of a BD-rate by SSIMULACRA2: from medium quality to one at which differences are hardly found."""

LEAST_RANGE = 1.0
"""A BD-rate over a narrower range, in dB, means little."""


@dataclass(frozen=True)
class Rival:
    """A classic codec against the bundle.

    Attributes:
        curve: its averages.
        psnr: difference over the PSNR range, on the averages.
        ms_ssim: difference over the MS-SSIM range, or None where that was not measured.
        images: difference in percent of every image by name, None where a curve does not cover the range.
        ssimulacra2: difference over the SSIMULACRA2 range, or None where that was not measured.
    """

    curve: Curve
    psnr: Difference
    ms_ssim: Difference | None
    images: Mapping[str, float | None]
    ssimulacra2: Difference | None = None

    @property
    def covered(self) -> list[float]:
        """The differences of the images that have one."""
        return [percent for percent in self.images.values() if percent is not None]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        covered = self.covered
        return {
            "codec": self.curve.codec,
            "title": self.curve.title,
            "bd_rate_psnr": self.psnr.to_json(),
            "bd_rate_ms_ssim": self.ms_ssim.to_json() if self.ms_ssim else None,
            "bd_rate_ssimulacra2": self.ssimulacra2.to_json() if self.ssimulacra2 else None,
            "images": {
                "covered": len(covered),
                "of": len(self.images),
                "mean_percent": float(np.mean(covered)) if covered else None,
                "smaller_on": sum(percent < 0 for percent in covered),
            },
        }


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured, ready for a report.

    Attributes:
        model: name, family, preset and stream id of the bundle.
        data: source and number of the images.
        environment: versions, machine, threads, date.
        span: PSNR range of the BD-rates in dB; for small images the bundle's own, each rival has its own.
        points: every measurement.
        ours: the bundle's curve.
        rivals: the classic codecs.
        others: curves that are shown but not compared with (single files of small images).
        measured_set: matches and archives of small images, else None.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    span: Range
    points: Sequence[Point]
    ours: Curve
    rivals: Sequence[Rival]
    others: Sequence[Curve] = ()
    measured_set: SetMeasurement | None = None

    @property
    def matches(self) -> Sequence[Match]:
        """Matches of small images; empty for photographs."""
        return self.measured_set.matches if self.measured_set else ()


def evaluate_images(
    codec: Codec,
    images: Sequence[EvaluationImage],
    plan: Plan,
    *,
    span: Range | None,
    jobs: int,
    place: str,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate on images of any size, each on its own.

    Args:
        codec: the bundle.
        images: what to code.
        plan: qualities and rivals.
        span: PSNR range in dB; None for PSNR_RANGE or, where a curve does not cover that, the range that all share.
        jobs: processes at once; times are only comparable with 1.
        place: where the images come from, for the report.
        progress: called with the number of images done, their total and "images".
    """
    points: list[Point] = []
    for done, measured in enumerate(_measured(codec, images, plan, jobs)):
        points += measured
        progress(done + 1, len(images), "images")
    ours = average(points, AEEDGE, "aeedge")
    names = [image.name for image in images]
    curves = [ours, *(average(points, classic.key, classic.title) for classic in plan.classics)]
    span = span or _usual_range(curves)
    rivals = [_rival(points, ours, classic, span, names) for classic in plan.classics]
    return Evaluation(
        _model(codec), _data(images, place), _environment(plan, jobs), span, tuple(points), ours, tuple(rivals)
    )


def evaluate_set(
    codec: Codec,
    images: Sequence[EvaluationImage],
    plan: Plan,
    *,
    span: Range | None,
    place: str,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate on small images of one size as a set, see `small`; by default each pair over the range it shares."""
    plan = replace(plan, classics=tuple(classic.widened() for classic in plan.classics))
    measured = measure_set(codec, np.stack([image.pixels for image in images]), plan, progress)
    points = measured.points
    ours = average(points, AEEDGE, "aeedge, one stream")
    sheets = [average(points, classic.key + SHEET, f"{classic.title}, one sheet") for classic in plan.classics]
    rivals = tuple(_sheet_rival(ours, sheet, span) for sheet in sheets)
    span = span or own_range(ours)
    keys = [(AEEDGE, "aeedge"), *((classic.key, classic.title) for classic in plan.classics)]
    others = tuple(average(points, key + FILES, f"{title}, a file each") for key, title in keys)
    data, environment = _data(images, place), _environment(plan, 1)
    return Evaluation(_model(codec), data, environment, span, points, ours, rivals, others, measured)


def own_range(curve: Curve) -> Range:
    """Return the PSNR range of a curve, rounded inwards to half a dB."""
    values = [point.psnr_db for point in curve.points]
    return _inwards(min(values), max(values))


def shared_range(*curves: Curve) -> Range | None:
    """Return the PSNR range that curves share, rounded inwards; None where it is narrower than LEAST_RANGE."""
    lows, highs = zip(*(own_range(curve) for curve in curves), strict=True)
    return (max(lows), min(highs)) if min(highs) - max(lows) >= LEAST_RANGE else None


def _usual_range(curves: Sequence[Curve]) -> Range:
    """Return PSNR_RANGE if all curves cover it, else what they share; PSNR_RANGE if that is nothing."""
    shared = shared_range(*curves)
    if shared is None or (shared[0] <= PSNR_RANGE[0] and PSNR_RANGE[1] <= shared[1]):
        return PSNR_RANGE
    return shared


def _sheet_rival(ours: Curve, sheet: Curve, span: Range | None) -> Rival:
    """Compare a classic sheet with the bundle over the given range or the one that the two share."""
    wanted = span or shared_range(ours, sheet) or own_range(ours)
    difference = compare_curves(rates_and_psnr(ours), rates_and_psnr(sheet), wanted, ("aeedge", sheet.title))
    return Rival(sheet, difference, None, {})


def _inwards(low: float, high: float) -> Range:
    rounded = float(np.ceil(low * 2) / 2), float(np.floor(high * 2) / 2)
    return rounded if rounded[0] < rounded[1] else (low, max(high, low + LEAST_RANGE / 2))


def _measured(codec: Codec, images: Sequence[EvaluationImage], plan: Plan, jobs: int) -> Iterator[list[Point]]:
    if jobs == 1:
        warm_up(codec, images[0], plan)
        yield from (measure_image(codec, image, plan) for image in images)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (codec, plan)) as pool:
        yield from pool.map(_work, images)


_worker: dict[str, Any] = {}
"""The codec and the plan of a process of the pool."""


def _start_worker(codec: Codec, plan: Plan) -> None:
    _worker.update(codec=codec, plan=plan)


def _work(image: EvaluationImage) -> list[Point]:
    return measure_image(_worker["codec"], image, _worker["plan"])


def _rival(points: Sequence[Point], ours: Curve, classic: ClassicCodec, span: Range, names: Sequence[str]) -> Rival:
    curve = average(points, classic.key, classic.title)
    titles = ("aeedge", classic.title)
    psnr = compare_curves(rates_and_psnr(ours), rates_and_psnr(curve), span, titles)
    both = (*ours.points, *curve.points)
    ms_ssim = score = None
    if all(point.ms_ssim is not None for point in both):
        ms_ssim = compare_curves(rates_and_ms_ssim(ours), rates_and_ms_ssim(curve), MS_SSIM_RANGE, titles)
    if all(point.ssimulacra2 is not None for point in both):
        scores = rates_and_ssimulacra2(ours), rates_and_ssimulacra2(curve)
        score = compare_curves(*scores, SSIMULACRA2_RANGE, titles, unit="points")
    by_image: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for point in points:
        rates, values = by_image.setdefault((point.codec, point.image), ([], []))
        rates.append(point.rate_bpp)
        values.append(min(point.psnr_db, EXACT_DB))  # as in the mean: no curve goes through infinity
    images = {name: compare_curves(by_image[AEEDGE, name], by_image[classic.key, name], span).percent for name in names}
    return Rival(curve, psnr, ms_ssim, images, score)


def _model(codec: Codec) -> dict[str, Any]:
    manifest = codec.bundle.manifest
    return {key: getattr(manifest, key) for key in ("name", "family", "preset", "stream_id")}


def _data(images: Sequence[EvaluationImage], place: str) -> dict[str, Any]:
    pixels = [image.pixels.shape[0] * image.pixels.shape[1] for image in images]
    sizes = sorted({f"{image.pixels.shape[1]}x{image.pixels.shape[0]}" for image in images})
    return {"place": place, "images": len(images), "pixels": sum(pixels), "sizes": sizes[:8], "size_kinds": len(sizes)}


def _environment(plan: Plan, jobs: int) -> dict[str, Any]:
    return {**environment(["aeedge", *sys.argv[1:]]), "threads": plan.threads, "jobs": jobs}
