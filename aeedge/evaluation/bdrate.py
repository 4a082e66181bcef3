"""Computes BD-rates over a stated range of quality that both curves must cover: nothing is extrapolated.

"Calculation of average PSNR differences between RD-curves" (Bjontegaard, VCEG-M33, 2001), by the `bjontegaard` package
with piecewise cubic (PCHIP) interpolation of the logarithm of the rate.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bjontegaard import bd_rate
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

SAMPLES = 65
"""Points of the range at which both curves are sampled; 65 or 1025 give the same figure to 0.01 %."""

Values = Sequence[float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """Difference in bytes between two curves.

    Attributes:
        span: the range it is meant over, in units.
        percent: mean difference at equal quality, negative where the first is smaller; None where not covered.
        reason: why it is None, in words.
        at: difference in percent at a few points of the range, (quality, percent).
        smaller: parts of the range where the first needs fewer bytes.
        unit: of quality, "dB" or "points".
    """

    span: Range
    percent: float | None
    reason: str = ""
    at: tuple[tuple[float, float], ...] = ()
    smaller: tuple[Range, ...] = ()
    unit: str = "dB"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        unit = self.unit.lower()
        return {
            f"range_{unit}": list(self.span),
            "percent": self.percent,
            "not_covered": self.reason or None,
            "at": [{unit: place, "percent": percent} for place, percent in self.at],
            f"smaller_between_{unit}": [list(part) for part in self.smaller],
        }


def compare_curves(
    ours: tuple[Values, Values],
    theirs: tuple[Values, Values],
    span: Range,
    names: tuple[str, str] = ("ours", "theirs"),
    unit: str = "dB",
) -> Difference:
    """Compare the bytes of one curve with those of another at equal quality.

    Args:
        ours: rates, any unit, and qualities.
        theirs: the same of the other codec.
        span: least and greatest quality.
        names: of the curves, for the reason.
        unit: of quality.
    """
    cleaned = []
    for name, curve in zip(names, (ours, theirs), strict=True):
        rates, qualities = monotone(*curve)
        if len(rates) < 2 or qualities[0] > span[0] or qualities[-1] < span[1]:
            reason = f"{name} covers {_spanned(qualities, unit)}, not {span[0]:g} to {span[1]:g} {unit}"
            return Difference(span, None, reason, unit=unit)
        cleaned.append(PchipInterpolator(qualities, np.log(rates)))
    places = np.linspace(*span, SAMPLES)
    first, second = np.exp(cleaned[0](places)), np.exp(cleaned[1](places))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        percent = float(bd_rate(second, places, first, places, method="pchip"))
    percents = (first / second - 1) * 100
    chosen = np.linspace(0, SAMPLES - 1, 4).round().astype(int)
    at = tuple((float(places[index]), float(percents[index])) for index in chosen)
    return Difference(span, percent, "", at, _negative_parts(places, percents), unit)


def rate_ratios(ours: tuple[Values, Values], theirs: tuple[Values, Values], span: Range) -> list[tuple[float, float]]:
    """Return (dB, bytes of one curve in percent of another's) where both curves cover a range."""
    curves = [monotone(*curve) for curve in (ours, theirs)]
    if min(len(rates) for rates, _ in curves) < 2:
        return []
    low, high = max(span[0], *(values[0] for _, values in curves)), min(span[1], *(values[-1] for _, values in curves))
    if low >= high:
        return []
    places = np.linspace(low, high, SAMPLES // 2)
    first, second = (PchipInterpolator(values, np.log(rates))(places) for rates, values in curves)
    return [(float(place), float(ratio)) for place, ratio in zip(places, 100 * np.exp(first - second), strict=True)]


def monotone(rates: Values, qualities: Values) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points by rate, each better than all before it: only these are worth their bytes."""
    best = -np.inf
    kept = []
    for rate, quality in sorted(zip(rates, qualities, strict=True), key=lambda point: (point[0], -point[1])):
        if quality > best:
            kept.append((rate, quality))
            best = quality
    table = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _spanned(qualities: NDArray[np.float64], unit: str) -> str:
    return f"{qualities[0]:.1f} to {qualities[-1]:.1f} {unit}" if len(qualities) else "nothing"


def _negative_parts(places: NDArray[np.float64], percents: NDArray[np.float64]) -> tuple[Range, ...]:
    """Return the intervals of `places` where `percents` is below 0."""
    below = np.concatenate([[False], percents < 0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    return tuple((float(places[start]), float(places[stop - 1])) for start, stop in edges.reshape(-1, 2))
