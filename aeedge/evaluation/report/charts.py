"""Line charts as inline SVG: no script, no font, no network; colors come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 14, 48

MOST_TICKS = 10

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line: the CSS classes that color it, its title, its points and the tooltips of the points."""

    style: str
    title: str
    points: tuple[Point, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows and from where to where."""

    title: str
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value, 0 at the low end and 1 at the high end."""
        if self.logarithmic:
            return math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values to mark."""
        if not self.logarithmic:
            return linear_ticks(self.low, self.high)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        inside = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
        if len(inside) <= MOST_TICKS:
            return inside
        return [value for value in inside if math.log10(value) % 1 < 1e-6 or math.log10(value) % 1 > 1 - 1e-6]


def linear_ticks(low: float, high: float) -> list[float]:
    """Return about seven round values from low to high."""
    raw = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [step * index for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def chart(name: str, series: Sequence[Series], x: Axis, y: Axis, band: tuple[float, float] | None = None) -> str:
    """Return a chart as an SVG element.

    Args:
        name: says what it shows, and is its id.
        series: lines; the last one is on top.
        x: horizontal axis.
        y: vertical axis.
        band: range of y to shade.
    """
    identity = "".join(letter for letter in name.lower() if letter.isalnum())
    across, up = _across(x), _up(y)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}" class="chart">',
        f'<clipPath id="{identity}"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
    ]
    if band:
        top, bottom = up(min(band[1], y.high)), up(max(band[0], y.low))
        parts.append(
            f'<rect class="band" x="{LEFT}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT}" height="{bottom - top:.1f}"/>'
        )
    for tick in y.ticks():
        parts.append(f'<path class="grid" d="M{LEFT} {up(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x.ticks():
        parts.append(f'<path class="grid" d="M{across(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        below = HEIGHT - BOTTOM + 18
        parts.append(f'<text class="tick" x="{across(tick):.1f}" y="{below}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    parts.append(f'<g clip-path="url(#{identity})">{"".join(_line(line, across, up) for line in series)}</g>')
    center, middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text class="label" x="{center}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.title)}</text>')
    parts.append(
        f'<text class="label" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.title)}</text></svg>"
    )
    return "".join(parts)


def legend(series: Sequence[Series]) -> str:
    """Return the titles of lines with a sample of each as an HTML list, the line on top first."""
    items = [
        f'<li class="{line.style}"><svg viewBox="0 0 26 10" aria-hidden="true"><path class="line" d="M1 5H25"/>'
        f'<circle class="dot" cx="13" cy="5" r="3"/></svg>{escape(line.title)}</li>'
        for line in reversed(series)
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _line(line: Series, across: Callable[[float], float], up: Callable[[float], float]) -> str:
    places = [(across(x), up(y)) for x, y in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(label)}</title></circle>'
        for (x, y), label in zip(places, line.labels, strict=True)
    )
    return f'<g class="{line.style}"><path class="line" d="{path}"/>{dots}</g>'


def _across(axis: Axis) -> Callable[[float], float]:
    return lambda value: LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _up(axis: Axis) -> Callable[[float], float]:
    return lambda value: HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
