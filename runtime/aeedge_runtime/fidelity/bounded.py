"""Images to the smallest stream whose samples are off by no more than a bound, on any machine.

Three ways compete: all tiles stored as they are; stored in steps of 2E + 1, which errs by E at most; and the network
with a residual in steps of 2E - 1, which errs by E - 1 here and by E where decoded pixels differ by 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..coding.encoder import Encoder
from ..stream.container import BOUND, Stream, write_stream
from ..stream.tile_sections import Bound, pack_bound

Pixels = NDArray[np.uint8]

EXACT_QUALITY = 100
"""What a stream says whose pixels do not come from the network."""

BASES = (60, 75, 90)
"""Qualities that are tried below a residual; the next ones beyond follow where the best is at an end."""

BEYOND = {60: (45, 30, 15), 90: (97, 100)}

MOST_STEPPED = 8
"""Bound up to which steps are tried: beyond, the residual has been smaller on every photograph."""

MOST_RESIDUAL = 127
"""Largest residual, in steps, that its blob holds."""


def code_within(encoder: Encoder, error: int, decode: Callable[[bytes], Pixels] | None) -> bytes:
    """Return the smallest stream whose samples of color are off by at most `error`.

    Args:
        encoder: of the images.
        error: 0 for exact images.
        decode: from a stream to its images, uint8 [N, H, W, C]; None for no residual.
    """
    found = [write_stream(encoder.whole(EXACT_QUALITY))]
    if 0 < error <= MOST_STEPPED:
        stepped = encoder.whole_of(EXACT_QUALITY, _stepped(encoder.original, 2 * error + 1))
        found.append(_with_bound(stepped, Bound(error)))
    if error and decode is not None:
        found += _with_residual(encoder, error, decode)
    return min(found, key=len)


def _with_residual(encoder: Encoder, error: int, decode: Callable[[bytes], Pixels]) -> list[bytes]:
    """Streams of the network with a residual, at the qualities that are worth a try."""
    found: dict[int, bytes] = {}

    def size(quality: int) -> float:
        if quality not in found:
            data = _bounded(encoder, quality, error, decode)
            if data is None:
                return float("inf")
            found[quality] = data
        return len(found[quality])

    best = min(BASES, key=size)
    for quality in BEYOND.get(best, ()):
        if size(quality) >= size(best):
            break
        best = quality
    return list(found.values())


def _bounded(encoder: Encoder, quality: int, error: int, decode: Callable[[bytes], Pixels]) -> bytes | None:
    """Return a stream at a quality with a residual; None if that does not fit its blobs."""
    base = encoder.base(quality)
    step = 2 * error - 1
    difference = encoder.original.astype(np.int16) - decode(write_stream(base))
    residual = (difference + (step - 1) // 2) // step
    if base.tiles is not None:
        residual[encoder.grid.pixels_of(base.tiles.held)] = 0
    if np.abs(residual).max() > MOST_RESIDUAL:
        return None
    held = encoder.grid.tiles_of(np.asarray(residual.any(axis=3)))
    if not held.any():
        return _with_bound(base, Bound(error))
    tall = residual.astype(np.int8).view(np.uint8).reshape(-1, *residual.shape[2:])
    return _with_bound(base, Bound(error, step, encoder.store(held, tall)))


def _with_bound(stream: Stream, bound: Bound) -> bytes:
    return write_stream(replace(stream, sections={**stream.sections, BOUND: pack_bound(bound)}))


def _stepped(pixels: Pixels, step: int) -> Pixels:
    """Return the nearest multiples of a step, the last one cut to 255."""
    levels = np.arange(256)
    table = np.minimum((levels + step // 2) // step * step, 255).astype(np.uint8)
    return table[pixels]
