"""Writes an evaluation as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from aeedge.evaluation.evaluate import MS_SSIM_RANGE, SSIMULACRA2_RANGE, Evaluation
from aeedge.evaluation.verdict import verdict

SCHEMA = 1
"""Version of `summary.json`."""

COLUMNS = (
    "image", "codec", "quality", "pixels", "total_bytes", "rate_bpp", "psnr_db", "ms_ssim", "ssimulacra2",
    "encode_ms", "decode_ms",
)  # fmt: skip


def to_csv(evaluation: Evaluation) -> bytes:
    """Return one row per measurement; `inf` where an image came back exactly, empty where a metric was not measured."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point in evaluation.points:
        values = [getattr(point, name) for name in COLUMNS]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
    return file.getvalue().encode()


def to_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return averages, differences and verdict, without single measurements; null stands for infinity."""
    measured = evaluation.measured_set
    content = {
        "model": dict(evaluation.model),
        "data": dict(evaluation.data),
        "environment": dict(evaluation.environment),
        "method": {
            "curves": "mean of rate, PSNR, MS-SSIM and SSIMULACRA2 over the images at each quality; median of times",
            "bd_rate": "bjontegaard package, pchip; on these mean curves; nothing is extrapolated",
            "psnr_range_db": list(evaluation.span),
            "ms_ssim_range_db": None if measured else list(MS_SSIM_RANGE),
            "ssimulacra2_range_points": None if measured else list(SSIMULACRA2_RANGE),
        },
        "curves": [
            curve.to_json()
            for curve in (evaluation.ours, *(rival.curve for rival in evaluation.rivals), *evaluation.others)
        ],
        "against": [rival.to_json() for rival in evaluation.rivals],
        "small_images": None
        if measured is None
        else {"matches": [match.to_json() for match in measured.matches], "lossless_bytes": measured.lossless},
        "verdict": [{"kind": sentence.kind, "text": sentence.text} for sentence in verdict(evaluation)],
    }
    finite: dict[str, Any] = _finite(content)
    return finite


def to_json(evaluation: Evaluation) -> bytes:
    """Return the summary with its schema version and the differences of every image, as JSON."""
    images = {rival.curve.codec: dict(rival.images) for rival in evaluation.rivals}
    content = {"schema": SCHEMA, **to_summary(evaluation), "bd_rate_of_images": images}
    return (json.dumps(_finite(content), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """Replace infinity, which JSON does not have, with None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
