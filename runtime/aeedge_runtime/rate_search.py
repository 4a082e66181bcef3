"""Search for the quality that meets a rate or PSNR target, by actually coding.

Bytes and PSNR grow with the quality on average, but not at every step of every image, and least of all for small ones.
So a bisection finds the neighborhood, further qualities are tried while they nearly meet the target, every answer is
checked on the stream that is returned, and near the ends of the scale a few more qualities are tried before a target
counts as impossible.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from .arrays import whole
from .errors import ArgumentError, TargetNotReachedError
from .limits import MAX_STREAM_BYTES

LOWEST, HIGHEST = 1, 100
DEFAULT_QUALITY = 50

SLACK = 0.05
"""Sizes grow by more than this share once they have left a dip at the end of the scale."""

SLACK_BYTES = 16
"""The same for streams of a few bytes."""

SLACK_DB = 0.5
"""The same for PSNR."""

NEAR, NEAR_BYTES, NEAR_DB = 0.01, 4, 0.2
"""Beyond a quality that misses a target by no more than this, another one may meet it. Of 1,600 targets of each kind on
32x32 images, the bisection alone missed the best quality within a byte limit in 5 cases and the lowest that reaches a
PSNR in 40; with these margins, in 0 and 1. Photos rarely have such steps and pay for one or two more qualities."""

Code = Callable[[int], bytes]
Score = Callable[[bytes], float]


@dataclass(frozen=True)
class MaxBytes:
    """The best quality whose whole stream has at most `limit` bytes; `wish` is the target in words, for errors."""

    limit: int
    wish: str


@dataclass(frozen=True)
class MinPsnr:
    """The lowest quality whose images, pooled, have a PSNR of `least_db`; `wish` is the target in words, for errors."""

    least_db: float
    wish: str


@dataclass(frozen=True)
class MaxError:
    """The fewest bytes of which no sample of color is off by more than `limit`, 0..255, on any machine."""

    limit: int


Target = MaxBytes | MinPsnr


def choose_rate(
    pixels: int,
    quality: int | None = None,
    max_bytes: int | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    max_error: int | None = None,
) -> int | Target | MaxError:
    """Return the quality or target that a caller of `compress` asks for.

    Args:
        pixels: pixels of all images together.
        quality: 1..100; the default if there is no target.
        max_bytes: most bytes of the whole stream; more than a stream can have are no limit.
        target_bpp: most bits per pixel, header included.
        target_psnr: least PSNR in dB.
        max_error: most that a sample of color may be off by.

    Raises:
        ArgumentError: several are given, or a value is out of range.
    """
    values = {"quality": quality, "max_bytes": max_bytes, "target_bpp": target_bpp, "target_psnr": target_psnr}
    values["max_error"] = max_error
    given = [name for name, value in values.items() if value is not None]
    if len(given) > 1:
        raise ArgumentError(f"{' and '.join(given)} cannot be combined; pass at most one of {', '.join(values)}")
    if max_bytes is not None:
        limit = min(whole("max_bytes", max_bytes), MAX_STREAM_BYTES)
        return MaxBytes(limit, f"at most {limit:,} bytes")
    if target_bpp is not None:
        rate_bpp = _positive("target_bpp", target_bpp)
        limit = int(min(rate_bpp * pixels / 8, MAX_STREAM_BYTES))
        return MaxBytes(limit, f"at most {rate_bpp:g} bits per pixel ({limit:,} bytes)")
    if max_error is not None:
        return MaxError(whole("max_error", max_error, 0, 255))
    if target_psnr is not None:
        least_db = _positive("target_psnr", target_psnr)
        return MinPsnr(least_db, f"a PSNR of {least_db:g} dB")
    return whole("quality", DEFAULT_QUALITY if quality is None else quality, LOWEST, HIGHEST)


def find_stream(target: Target, code: Code, psnr: Score, what: str) -> bytes:
    """Return the stream that meets a target.

    Args:
        target: what to meet.
        code: codes at a quality.
        psnr: decodes a stream and measures it in dB.
        what: what is coded, for errors.

    Raises:
        TargetNotReachedError: no quality meets it; the message says how close one can come.
    """
    coded: dict[int, bytes] = {}

    def stream(quality: int) -> bytes:
        if quality not in coded:
            coded[quality] = code(quality)
        return coded[quality]

    if isinstance(target, MaxBytes):
        return _within(target, stream, what)
    return _as_good(target, stream, psnr, what)


def _within(target: MaxBytes, stream: Code, what: str) -> bytes:
    """Return the best stream of at most `target.limit` bytes."""
    limit = target.limit
    if len(stream(HIGHEST)) <= limit:
        return stream(HIGHEST)
    low = _lowest_within(limit, stream)
    if low is None:
        smallest = min(len(data) for data in map(stream, _small_end(stream)))
        raise TargetNotReachedError(
            f"{what}: {target.wish} cannot be met; the smallest size possible with this model is {smallest:,} bytes"
        )

    def size(quality: int) -> int:
        return len(stream(quality))

    best = _last(lambda quality: size(quality) <= limit, low, HIGHEST)
    near = takewhile(lambda quality: size(quality) <= limit * (1 + NEAR) + NEAR_BYTES, range(best + 1, HIGHEST))
    return stream(max((quality for quality in near if size(quality) <= limit), default=best))


def _lowest_within(limit: int, stream: Code) -> int | None:
    return next((quality for quality in _small_end(stream) if len(stream(quality)) <= limit), None)


def _small_end(stream: Code) -> Iterable[int]:
    """Yield qualities from the lowest on, until sizes clearly grow."""
    smallest = len(stream(LOWEST))
    for quality in range(LOWEST, HIGHEST + 1):
        size = len(stream(quality))
        if size > smallest * (1 + SLACK) + SLACK_BYTES:
            return
        smallest = min(smallest, size)
        yield quality


def _as_good(target: MinPsnr, stream: Code, psnr: Score, what: str) -> bytes:
    """Return the stream of the lowest quality that reaches a PSNR."""
    least_db = target.least_db
    measured: dict[int, float] = {}

    def quality_db(quality: int) -> float:
        if quality not in measured:
            measured[quality] = psnr(stream(quality))
        return measured[quality]

    high, best = None, -np.inf
    for quality in range(HIGHEST, LOWEST - 1, -1):
        if quality_db(quality) >= least_db:
            high = quality
            break
        if quality_db(quality) < best - SLACK_DB:
            break
        best = max(best, quality_db(quality))
    if high is None:
        raise TargetNotReachedError(
            f"{what}: {target.wish} cannot be met; the best possible with this model is {best:.2f} dB"
        )
    if quality_db(LOWEST) >= least_db:
        return stream(LOWEST)
    lowest = _last(lambda quality: quality_db(quality) < least_db, LOWEST, high) + 1
    near = takewhile(lambda quality: quality_db(quality) >= least_db - NEAR_DB, range(lowest - 1, LOWEST, -1))
    return stream(min((quality for quality in near if quality_db(quality) >= least_db), default=lowest))


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the last quality at which a condition holds, by bisection: it holds at `low` and not at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _positive(name: str, value: object) -> float:
    """Return a value that must be a number above 0; an integer beyond all floats becomes the largest of them."""
    known = int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, known) or not 0 < value < np.inf:
        raise ArgumentError(f"{name}: found {value!r}, expected a number above 0")
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max
