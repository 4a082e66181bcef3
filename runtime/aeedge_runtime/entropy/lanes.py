"""Lanes of a chunk: their number, and the coder header that carries their states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import StreamError
from ..limits import MAX_LANES, MAX_STEPS
from .bank import FREQUENCY_MASK, PRECISION_BITS, SIGNED

ZERO_START = 12
"""Replaces log2(lanes): one lane that starts from state 0, which saves two bytes when there are no raw words."""

_MAX_LOG2_LANES = MAX_LANES.bit_length() - 1
# Largest cost of lanes as a share of the payload, while more than a number of steps remain: 4 bits per lane, 16 more
# per lane that starts empty. A step takes 2.5 us to encode and 4 us to decode, whatever the number of lanes.
_LANE_SHARES = ((1000, 0.0125), (400, 0.0095), (0, 0.0085))
_LEAST_STEPS = 8  # fewer steps than this gain no time
_SAMPLE = 4096  # entries of a pass from which its cost is estimated


def choose_lanes(entries: Sequence[NDArray[np.uint32]], hidden: int) -> int:
    """Return the number of lanes for these passes, a power of two that payload and length justify.

    Args:
        entries: the coder entries of each pass.
        hidden: number of raw words of the last pass; each lets one lane start for free.
    """
    longest, together = max(len(part) for part in entries), sum(len(part) for part in entries)
    bits = _estimate_bits(entries)
    least = (-(-longest // MAX_STEPS) - 1).bit_length()
    log2_lanes = least
    while log2_lanes < _MAX_LOG2_LANES and (2 << log2_lanes) * _LEAST_STEPS <= longest:
        lanes = 2 << log2_lanes
        share = next(share for steps, share in _LANE_SHARES if together > steps << log2_lanes)
        if 4.0 * lanes + 16.0 * max(lanes - hidden, 0) > share * bits:
            break
        log2_lanes += 1
    return 1 << log2_lanes


def _estimate_bits(entries: Sequence[NDArray[np.uint32]]) -> float:
    """Estimate the bits that these entries take, from at most _SAMPLE of each pass."""
    steps = [max(-(-len(part) // _SAMPLE), 1) for part in entries]
    samples = [part[::step] for part, step in zip(entries, steps, strict=True)]
    sample = np.concatenate(samples)
    frequency = (sample >> PRECISION_BITS) & FREQUENCY_MASK
    bits = PRECISION_BITS - np.log2(frequency.astype(np.float32)) + ((sample & SIGNED) != 0)
    bits *= np.repeat(np.array(steps, np.float32), [len(few) for few in samples])  # each stands for `step` entries
    return float(bits.sum(dtype=np.float64))


def write_states(states: NDArray[np.uint32], zero_start: bool) -> bytes:
    """Coder header: lanes, the exponent of each state, its bits above 16, then the low 16 bits of each.

    Args:
        states: uint32 [L], each at least 2^16, L a power of two.
        zero_start: the one lane started from state 0.
    """
    high = states >> np.uint32(16)
    exponent = np.frexp(high.astype(np.float64))[1] - 1  # 0..15
    mode = ZERO_START if zero_start else len(states).bit_length() - 1
    position = np.arange(16)
    nibbles = (np.concatenate([[mode], exponent])[:, None] >> position[:4]) & 1
    below = position < exponent[:, None]
    mantissas = ((high[:, None] >> position.astype(np.uint32)) & 1)[below]
    bits = np.concatenate([nibbles.ravel(), mantissas]).astype(np.uint8)
    return np.packbits(bits, bitorder="little").tobytes() + states.astype("<u2").tobytes()


def read_states(data: bytes | memoryview) -> tuple[NDArray[np.uint32], bool, int]:
    """Read a coder header.

    Returns:
        States, uint32 [L]; whether the one lane started from state 0; bytes used.

    Raises:
        StreamError: the header is cut short, its lanes are unknown, its padding is not zero, or half a word follows it.
    """
    mode = data[0] & 15
    if mode > ZERO_START:
        raise StreamError(f"chunk: lane code {mode}, expected 0..{ZERO_START}; the stream is damaged, get it again")
    lanes = 1 if mode == ZERO_START else 1 << mode
    available = np.unpackbits(np.frombuffer(data, np.uint8, min(len(data), 4 * lanes)), bitorder="little")
    nibbles = available[4 : 4 + 4 * lanes].astype(np.uint32)
    if len(nibbles) < 4 * lanes:
        raise StreamError(f"chunk: {len(data)} bytes cannot hold {lanes} lanes; the stream is cut short, get it again")
    exponent = nibbles.reshape(lanes, 4) @ np.array([1, 2, 4, 8], np.uint32)
    bits = available[4 + 4 * lanes :]
    size = int(exponent.sum())
    used = (4 + 4 * lanes + size + 7) // 8
    if used + 2 * lanes > len(data):
        raise StreamError(f"chunk: {len(data)} bytes cannot hold {lanes} lanes; the stream is cut short, get it again")
    if (len(data) - used) % 2:
        raise StreamError("chunk: half a word at the end; the stream is damaged, get it again")
    if bits[size : used * 8 - 4 - 4 * lanes].any():
        raise StreamError("chunk: the padding of the coder header is not zero; the stream is damaged, get it again")
    position = np.arange(16, dtype=np.uint32)
    mantissa = np.zeros((lanes, 16), np.uint32)
    mantissa[position < exponent[:, None]] = bits[:size]
    high = (mantissa << position).sum(axis=1, dtype=np.uint32) + (np.uint32(1) << exponent)
    low = np.frombuffer(data, "<u2", lanes, used).astype(np.uint32)
    return (high << np.uint32(16)) | low, mode == ZERO_START, used + 2 * lanes
