"""Rate and quality targets: the quality that meets one, found by really coding.

Bytes and PSNR grow with the quality on average, not at every step of every image, least of all of a small one. So a
bisection finds the neighbourhood, qualities beyond it are tried as long as they nearly meet the target, every answer is
checked on the stream that is returned, and at the ends of the scale a few more qualities are tried before a target
counts as impossible.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from .arrays import whole
from .errors import ArgumentError, TargetNotReachedError
from .limits import MAX_STREAM_BYTES, SLAB_PIXELS

LOWEST, HIGHEST = 1, 100

SLACK = 0.05
"""Sizes grow by more than this share once they have left a dip at the end of the scale."""

SLACK_BYTES = 16
"""The same for streams of a few bytes."""

SLACK_DB = 0.5
"""The same for PSNR."""

NEAR, NEAR_BYTES, NEAR_DB = 0.01, 4, 0.2
"""What misses a target by no more may have a quality behind it that meets it: of 1,600 targets each on images of 32x32,
the bisection alone missed the best quality within so many bytes in 5 and the lowest that reaches a PSNR in 40; with
these, in none and in 1. A photo has such steps rarely and pays for one or two qualities more."""

Code = Callable[[int], bytes]
Score = Callable[[bytes], float]


@dataclass(frozen=True)
class Target:
    """What a stream has to meet; one of the two is set.

    Attributes:
        max_bytes: most bytes of the whole stream.
        psnr_db: least PSNR of all images together.
        wish: the target in words, for errors.
    """

    max_bytes: int | None
    psnr_db: float | None
    wish: str


@dataclass(frozen=True)
class Rate:
    """What a caller of `compress` asks for; at most one is not None.

    Attributes:
        quality: 1..100.
        max_bytes: most bytes of the whole stream.
        target_bpp: most bits per pixel, header included.
        target_psnr: least PSNR in dB.
    """

    quality: int | None = None
    max_bytes: int | None = None
    target_bpp: float | None = None
    target_psnr: float | None = None

    def target(self, pixels: int) -> Target | None:
        """The target, or None where a quality or nothing is asked for. More bytes than a stream can have are no limit.

        Args:
            pixels: pixels of all images together.

        Raises:
            ArgumentError: two things are asked for, or a value makes no sense.
        """
        named = [name for name, value in vars(self).items() if value is not None]
        if len(named) > 1:
            raise ArgumentError(f"found {' and '.join(named)}, expected at most one of {', '.join(vars(self))}")
        if self.max_bytes is not None:
            limit = min(whole("max_bytes", self.max_bytes), MAX_STREAM_BYTES)
            return Target(limit, None, f"at most {limit:,} bytes")
        if self.target_bpp is not None:
            rate_bpp = _positive("target_bpp", self.target_bpp)
            limit = int(min(rate_bpp * pixels / 8, MAX_STREAM_BYTES))
            return Target(limit, None, f"at most {rate_bpp:g} bits per pixel ({limit:,} bytes)")
        if self.target_psnr is not None:
            least_db = _positive("target_psnr", self.target_psnr)
            return Target(None, least_db, f"a PSNR of {least_db:g} dB")
        return None


def reach(target: Target, code: Code, psnr: Score, what: str) -> bytes:
    """The stream that meets a target.

    Args:
        target: for bytes, the best quality that stays within them is taken; for PSNR, the lowest that reaches it.
        code: codes at a quality.
        psnr: decodes a stream and measures it in dB.
        what: what is coded, for errors.

    Raises:
        TargetNotReachedError: no quality meets it; the message says how near one can come.
    """
    coded: dict[int, bytes] = {}

    def stream(quality: int) -> bytes:
        if quality not in coded:
            coded[quality] = code(quality)
        return coded[quality]

    if target.max_bytes is not None:
        return _within(target.max_bytes, stream, target.wish, what)
    if target.psnr_db is None:
        raise ArgumentError("a target without a value")
    return _as_good(target.psnr_db, stream, psnr, target.wish, what)


def psnr_db(images: NDArray[np.uint8], restored: NDArray[np.uint8]) -> float:
    """PSNR in dB of the squared error pooled over all values, 0..255; infinity where nothing differs.

    Raises:
        ArgumentError: arrays of different shapes.
    """
    if images.shape != restored.shape:
        raise ArgumentError(f"psnr_db: found shapes {images.shape} and {restored.shape}, expected the same")
    total = sum(_squared_error(*rows) for pair in zip(images, restored, strict=True) for rows in _slabs(*pair))
    return float("inf") if total == 0 else float(10 * np.log10(255**2 * images.size / total))


def _slabs(
    image: NDArray[np.uint8], restored: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """The same rows of both, few enough that their differences take little memory."""
    rows = max(SLAB_PIXELS // image.shape[1], 1)
    for first in range(0, len(image), rows):
        yield image[first : first + rows], restored[first : first + rows]


def _squared_error(image: NDArray[np.uint8], restored: NDArray[np.uint8]) -> int:
    difference = image.astype(np.int32) - restored
    return int(np.square(difference).sum(dtype=np.int64))


def _within(limit: int, stream: Code, wish: str, what: str) -> bytes:
    """The best stream of at most `limit` bytes."""
    if len(stream(HIGHEST)) <= limit:
        return stream(HIGHEST)
    low = _lowest_within(limit, stream)
    if low is None:
        smallest = min(len(data) for data in map(stream, _small_end(stream)))
        raise TargetNotReachedError(
            f"{what}: {wish} cannot be met; the smallest size possible with this model is {smallest:,} bytes"
        )

    def size(quality: int) -> int:
        return len(stream(quality))

    best = _last(lambda quality: size(quality) <= limit, low, HIGHEST)
    near = takewhile(lambda quality: size(quality) <= limit * (1 + NEAR) + NEAR_BYTES, range(best + 1, HIGHEST))
    return stream(max((quality for quality in near if size(quality) <= limit), default=best))


def _lowest_within(limit: int, stream: Code) -> int | None:
    return next((quality for quality in _small_end(stream) if len(stream(quality)) <= limit), None)


def _small_end(stream: Code) -> Iterable[int]:
    """Qualities from the lowest on, until sizes clearly grow."""
    smallest = len(stream(LOWEST))
    for quality in range(LOWEST, HIGHEST + 1):
        size = len(stream(quality))
        if size > smallest * (1 + SLACK) + SLACK_BYTES:
            return
        smallest = min(smallest, size)
        yield quality


def _as_good(least_db: float, stream: Code, psnr: Score, wish: str, what: str) -> bytes:
    """The stream of the lowest quality that reaches a PSNR."""
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
        raise TargetNotReachedError(f"{what}: {wish} cannot be met; the best possible with this model is {best:.2f} dB")
    if quality_db(LOWEST) >= least_db:
        return stream(LOWEST)
    lowest = _last(lambda quality: quality_db(quality) < least_db, LOWEST, high) + 1
    near = takewhile(lambda quality: quality_db(quality) >= least_db - NEAR_DB, range(lowest - 1, LOWEST, -1))
    return stream(min((quality for quality in near if quality_db(quality) >= least_db), default=lowest))


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The quality before a change, by bisection: holds at `low`, not at `high`; then at the answer, not after it."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _positive(name: str, value: object) -> float:
    """A value that must be a number above 0; an integer beyond all floats is the largest of them."""
    known = int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, known) or not 0 < value < np.inf:
        raise ArgumentError(f"{name}: found {value!r}, expected a number above 0")
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max
