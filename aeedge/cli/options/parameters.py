"""Types of option values that click does not have: finite numbers, lists with commas, percentages and ranges."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from aeedge.figures import printable

PATH = click.Path(path_type=Path)


class Whole(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """Whole numbers of a range; click's own range would repeat its limits in every help text.

    Args:
        least: smallest number.
        most: largest number, or None.
    """

    name = "whole number"

    def __init__(self, least: int = 1, most: int | None = None) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or fail as click does."""
        try:
            number = int(value)
        except ValueError:
            number = self._least - 1
        if number < self._least or (self._most is not None and number > self._most):
            span = f"from {self._least} to {self._most}" if self._most is not None else f"of at least {self._least}"
            self.fail(f"found {printable(str(value))}, expected a whole number {span}", param, ctx)
        return number


class Number(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """Finite numbers of a range.

    Args:
        above: the number must be larger than this.
        below: the number must be smaller than this; None for no limit.
        or_equal: allow `above` itself.
    """

    name = "number"

    def __init__(self, above: float = 0.0, below: float | None = None, *, or_equal: bool = False) -> None:
        self._above, self._below, self._or_equal = above, below, or_equal

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail as click does."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        large_enough = number > self._above or (self._or_equal and number == self._above)
        if not large_enough or not number < (math.inf if self._below is None else self._below):
            low = f"of at least {self._above:g}" if self._or_equal else f"above {self._above:g}"
            high = "" if self._below is None else f" and below {self._below:g}"
            self.fail(f"found {printable(str(value))}, expected a finite number {low}{high}", param, ctx)
        return number


class Parsed(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """Values that are parsed from text of some form.

    Args:
        parse: turns the text into its value; raises ValueError for text of another form.
        expected: the form, as an error message names it.
    """

    def __init__(self, parse: Callable[[str], Any], expected: str) -> None:
        self.name = expected
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail as click does."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError:
            self.fail(f"found {printable(value)}, expected {self.name}", param, ctx)


def listed(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of words separated by commas."""
    return lambda text: tuple(parse(word.strip()) for word in text.split(","))


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """Return a parser that accepts some words only."""

    def parse(word: str) -> str:
        if word not in words:
            raise ValueError(word)
        return word

    return parse


def positive(word: str) -> int:
    """Parse a whole number from 1 on."""
    if int(word) < 1:
        raise ValueError(word)
    return int(word)


def width_and_height(word: str) -> tuple[int, int]:
    """Parse WxH."""
    width, _, height = word.partition("x")
    return positive(width), positive(height)


def percent(text: str) -> float:
    """Parse a percentage, with or without its sign."""
    number = float(text.rstrip("% "))
    if not number >= 0:
        raise ValueError(text)
    return number


def decibels(text: str) -> tuple[float, float]:
    """Parse a range of PSNR, LOW:HIGH in dB."""
    low, _, high = text.partition(":")
    if not 0 < float(low) < float(high) < 100:
        raise ValueError(text)
    return float(low), float(high)


def value_range(text: str) -> tuple[float, float]:
    """Parse the numbers of black and white, LOW:HIGH."""
    low, _, high = text.partition(":")
    if not -math.inf < float(low) < float(high) < math.inf:
        raise ValueError(text)
    return float(low), float(high)


def qualities(text: str) -> tuple[int, ...]:
    """Parse at least two qualities separated by commas; return them in ascending order, each once."""
    found = sorted({int(word) for word in text.split(",")})
    if len(found) < 2 or not 1 <= found[0] <= found[-1] <= 100:
        raise ValueError(text)
    return tuple(found)


QUALITY = Whole(1, 100)
WORDS = Parsed(listed(str), "NAME,...")
COUNTS = Parsed(listed(positive), "N,... with each N at least 1")
SIZES = Parsed(listed(width_and_height), "WxH,...")
PERCENT = Parsed(percent, "0% or more, such as 10%")
PSNR_RANGE = Parsed(decibels, "LOW:HIGH in dB, such as 28.5:36")
VALUE_RANGE = Parsed(value_range, "LOW:HIGH, such as 0:4095")
QUALITIES = Parsed(qualities, "at least two qualities in 1..100, such as 10,30,50,70")
