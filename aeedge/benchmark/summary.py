"""Summarizes the samples of several processes as percentiles, with a noise floor from repeated measurements."""

import statistics
from collections.abc import Sequence
from typing import Any

from aeedge.benchmark.case import Case
from aeedge.benchmark.protocol import Reply

LEAST_FOR_P99 = 662
"""Fewer samples say too little about a 99th percentile (the count that MLPerf asks for)."""

STAGES = (
    *("load_image", "to_tensor", "encoder_graph", "quantise", "hyper_encoder_graph", "read_container", "prior_graph"),
    *("encode", "entropy_encode", "write_container", "entropy_decode", "dequantise", "decode", "decoder_graph"),
    *("to_image", "other"),
)
"""In the order of the work; graphs of the prior run amid quantizing, coding and decoding."""

NS_PER_MS = 1e6


def summarize(case: Case, replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the figures of a case, ready for JSON.

    Args:
        case: what was timed.
        replies: one per process, in the order they ran.
    """
    totals = [[sum(sample.values()) for sample in reply.samples_ns] for reply in replies]
    pooled = [value for repeat in totals for value in repeat]
    mean_s = statistics.fmean(pooled) / 1e9
    facts = replies[0].facts
    size = facts.get("bytes")
    return {
        "config": case.to_dict(),
        "total": _figures(totals),
        "stages": _stages(replies, statistics.fmean(pooled)),
        "repeats_p50_ms": [round(statistics.median(repeat) / NS_PER_MS, 4) for repeat in totals],
        "samples": len(pooled),
        "checked": len(pooled),
        "images_per_s": round(case.batch / mean_s, 3),
        "megapixels_per_s": round(case.pixels / mean_s / 1e6, 4),
        "images_per_joule": _images_per_joule(case, replies, len(pooled)),
        "import_ms": _median([reply.import_ms for reply in replies]),
        "load_ms": _median([reply.load_ms for reply in replies]),
        "first_run_ms": _median([reply.first_run_ms for reply in replies]),
        "peak_memory_mb": _megabytes([reply.peak_bytes for reply in replies]),
        "work_memory_mb": _megabytes([_difference(reply.peak_bytes, reply.base_bytes) for reply in replies]),
        "providers": replies[0].providers,
        "bytes": size,
        "bits_per_pixel": None if size is None else round(8 * size / case.pixels, 5),
        "psnr_db": facts.get("psnr_db"),
        "codec_quality": facts.get("codec_quality"),
    }


def _stages(replies: Sequence[Reply], mean_ns: float) -> dict[str, Any]:
    """Return the figures of every stage, in the order of the work; means add up to the total's."""
    found = {name for reply in replies for sample in reply.samples_ns for name in sample}
    names = [name for name in STAGES if name in found] + sorted(found.difference(STAGES))
    stages = {}
    for name in names:
        repeats = [[sample.get(name, 0) for sample in reply.samples_ns] for reply in replies]
        figures = _figures(repeats)
        pooled = [value for repeat in repeats for value in repeat]
        stages[name] = {**figures, "share_percent": round(100 * statistics.fmean(pooled) / mean_ns, 2)}
    return stages


def _figures(repeats: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Return percentiles and noise of times in ns, a list per process."""
    pooled = sorted(value / NS_PER_MS for repeat in repeats for value in repeat)
    marks = [50, 90, 95] + ([99] if len(pooled) >= LEAST_FOR_P99 else [])
    figures: dict[str, float | None] = {f"p{mark}_ms": round(percentile(pooled, mark), 4) for mark in marks}
    figures["mean_ms"] = round(statistics.fmean(pooled), 4)
    figures["best_ms"] = round(pooled[0], 4)
    noise = noise_percent(repeats)
    figures["noise_percent"] = None if noise is None else round(noise, 2)
    return figures


def percentile(values: Sequence[float], mark: float) -> float:
    """Return a percentile of sorted values, interpolated."""
    place = (len(values) - 1) * mark / 100
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def noise_percent(repeats: Sequence[Sequence[float]]) -> float | None:
    """Return by how many percent the same thing, timed twice, differs; None where it was timed once.

    The larger of two: the medians of the even and of the odd processes, which ran interleaved, and half the range of
    the medians of single processes.
    """
    middle = statistics.median([value for repeat in repeats for value in repeat])
    if len(repeats) < 2 or not middle:
        return None
    first, second = ([value for repeat in repeats[half::2] for value in repeat] for half in (0, 1))
    twins = abs(statistics.median(first) - statistics.median(second))
    medians = [statistics.median(repeat) for repeat in repeats]
    return 100 * max(twins, (max(medians) - min(medians)) / 2) / middle


def _images_per_joule(case: Case, replies: Sequence[Reply], calls: int) -> float | None:
    joules = [reply.joules for reply in replies]
    total = sum(value for value in joules if value is not None)
    return round(case.batch * calls / total, 3) if None not in joules and total else None


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)


def _difference(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first - second


def _megabytes(values: Sequence[int | None]) -> float | None:
    found = [value for value in values if value is not None]
    return round(max(found) / 1e6, 1) if found else None
