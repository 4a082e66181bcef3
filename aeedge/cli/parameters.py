"""Types of option values that click does not have: finite numbers, lists with commas, percentages and ranges."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from aeedge.figures import printable

PATH = click.Path(path_type=Path)

QUALITY = click.IntRange(1, 100)


class Number(click.FloatRange):
    """A range of numbers that excludes NaN and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail as click does."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
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


def qualities(text: str) -> tuple[int, ...]:
    """Parse at least two qualities separated by commas; return them in ascending order, each once."""
    found = sorted({int(word) for word in text.split(",")})
    if len(found) < 2 or not 1 <= found[0] <= found[-1] <= 100:
        raise ValueError(text)
    return tuple(found)


WORDS = Parsed(listed(str), "NAME,...")
COUNTS = Parsed(listed(positive), "N,... with each N at least 1")
SIZES = Parsed(listed(width_and_height), "WxH,...")
PERCENT = Parsed(percent, "0% or more, such as 10%")
PSNR_RANGE = Parsed(decibels, "LOW:HIGH in dB, such as 28.5:36")
QUALITIES = Parsed(qualities, "at least two qualities in 1..100, such as 10,30,50,70")
