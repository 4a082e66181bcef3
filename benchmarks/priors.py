"""Three ways to model symbols with integer tables: bytes and milliseconds on photographs or digits.

    python benchmarks/priors.py BUNDLE --data FOLDER [--quality 50] [--fit 60] [--test 20] [-o FILE]

The symbols are those of the bundle's encoder and steps at one quality. Each way fits its tables on some images and
codes others:

factorised    one table per channel
classes K     K sets of such tables; the best set for each block is sent, at the entropy of the choices
context       one table per channel and context: the sum of magnitudes of symbols already decoded, of the four
              neighbours for the odd squares of a checkerboard; without neighbours, of the channels before, scaled

Sizes are code lengths under 14-bit tables without a stream's header. Milliseconds are what it takes to find the table
of every symbol on top of the coder, per test image: encode, decode. Real payloads of the bundle's own prior follow.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge.evaluation.data import open_images
from aeedge.figures import spread
from aeedge_runtime import Codec, stream_info

REACH = 24
"""Symbols beyond it are escaped: 16 bits on top of the escape's token."""

TOKENS = 2 * REACH + 2
BLOCK = 4
EDGES = np.array([1, 2, 3, 5, 9])
"""Sums of magnitudes at which a context ends."""

ROUNDS = 12
TOTAL = 1 << 14

Symbols = NDArray[np.int16]
Costs = NDArray[np.float64]


def fitted(counts: Costs) -> Costs:
    """Bits of every token, float64 [..., TOKENS], under tables of 14-bit frequencies of at least 1."""
    shares = (counts + 0.02) / (counts + 0.02).sum(axis=-1, keepdims=True)
    frequencies = np.maximum(np.floor(shares * (TOTAL - TOKENS)) + 1, 1)
    bits = -np.log2(frequencies / frequencies.sum(axis=-1, keepdims=True))
    bits[..., -1] += 16
    return bits


def tokens(symbols: Symbols) -> NDArray[np.intp]:
    """Token of every symbol; the last one is the escape."""
    return np.where(np.abs(symbols) <= REACH, symbols + REACH, TOKENS - 1).astype(np.intp)


def counted(rows: NDArray[np.intp], found: NDArray[np.intp], tables: int) -> Costs:
    """How often each token occurs under each table, [tables, TOKENS]."""
    flat = np.bincount((rows * TOKENS + found).ravel(), minlength=tables * TOKENS)
    return flat.reshape(tables, TOKENS).astype(np.float64)


def blocks(found: NDArray[np.intp]) -> NDArray[np.intp]:
    """Tokens [c, h, w] by block, [blocks, c, places]; places outside are -1."""
    channels, h, w = found.shape
    rows, columns = -(-h // BLOCK), -(-w // BLOCK)
    full = np.full((channels, rows * BLOCK, columns * BLOCK), -1)
    full[:, :h, :w] = found
    parts = full.reshape(channels, rows, BLOCK, columns, BLOCK).transpose(1, 3, 0, 2, 4)
    return parts.reshape(rows * columns, channels, BLOCK * BLOCK)


def histogram(parts: NDArray[np.intp]) -> Costs:
    """Return counts of tokens per block and channel, [blocks, c * TOKENS]."""
    number, channels, _ = parts.shape
    places = (np.arange(number)[:, None, None] * channels + np.arange(channels)[:, None]) * TOKENS + parts
    flat = np.bincount(places[parts >= 0], minlength=number * channels * TOKENS)
    return flat.reshape(number, channels * TOKENS).astype(np.float32)


def factorised(fit: list[Symbols], test: list[Symbols]) -> tuple[float, float, float]:
    """Bits of the test symbols, and milliseconds."""
    channels = fit[0].shape[0]
    index = lambda symbols: np.broadcast_to(np.arange(channels)[:, None, None], symbols.shape)  # noqa: E731
    return by_index(fit, test, index, channels)


def context(fit: list[Symbols], test: list[Symbols]) -> tuple[float, float, float]:
    """Return the same with contexts."""
    channels = fit[0].shape[0]
    count = len(EDGES) + 2

    def index(symbols: Symbols) -> NDArray[np.intp]:
        size = np.abs(symbols).astype(np.int32)
        if symbols.shape[1:] == (1, 1):
            before = np.maximum(np.arange(channels), 1)[:, None, None]
            around = 4 * (np.cumsum(size, axis=0) - size) // before
            where = np.ones(symbols.shape, bool)
        else:
            padded = np.pad(size, ((0, 0), (1, 1), (1, 1)))
            around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
            where = np.broadcast_to(np.add.outer(*map(np.arange, symbols.shape[1:])) % 2 == 1, symbols.shape)
        bins = np.where(where, 1 + np.searchsorted(EDGES, around, side="right"), 0)
        return np.arange(channels)[:, None, None] * count + bins

    return by_index(fit, test, index, channels * count)


def by_index(
    fit: list[Symbols], test: list[Symbols], index: Callable[[Symbols], NDArray[np.intp]], tables: int
) -> tuple[float, float, float]:
    """Bits and milliseconds where a table follows from what is known to both sides."""
    counts = sum(counted(index(symbols), tokens(symbols), tables) for symbols in fit)
    bits = fitted(np.asarray(counts))
    start = time.perf_counter()
    chosen = [index(symbols) for symbols in test]
    elapsed_ms = (time.perf_counter() - start) * 1000 / len(test)
    total = sum(bits[rows, tokens(symbols)].sum() for rows, symbols in zip(chosen, test, strict=True))
    return float(total), elapsed_ms, elapsed_ms


def classes(fit: list[Symbols], test: list[Symbols], number: int) -> tuple[float, float, float]:
    """Bits and milliseconds with explicit classes of blocks, found by alternation as in k-means."""
    channels = fit[0].shape[0]
    counts = np.concatenate([histogram(blocks(tokens(symbols))) for symbols in fit])
    energy = counts.reshape(len(counts), channels, TOKENS)[..., REACH].sum(axis=1)
    chosen = np.argsort(np.argsort(energy)) * number // len(counts)
    bits = np.zeros((number, channels * TOKENS), np.float32)
    for _ in range(ROUNDS):
        sums = np.stack([counts[chosen == one].sum(axis=0) for one in range(number)])
        bits = fitted(sums.reshape(number, channels, TOKENS)).reshape(number, -1).astype(np.float32)
        share = np.bincount(chosen, minlength=number) + 0.5
        side = -np.log2(share / share.sum())
        chosen = (counts @ bits.T + side).argmin(axis=1)
    total, start = 0.0, time.perf_counter()
    for symbols in test:
        costs = histogram(blocks(tokens(symbols))) @ bits.T + side
        total += float(costs.min(axis=1).sum())
    encode_ms = (time.perf_counter() - start) * 1000 / len(test)
    start = time.perf_counter()
    for symbols in test:
        rows, columns = (-(-size // BLOCK) for size in symbols.shape[1:])
        grid = np.zeros((rows, columns), np.intp).repeat(BLOCK, 0).repeat(BLOCK, 1)
        _ = grid[: symbols.shape[1], : symbols.shape[2]] * channels + np.arange(channels)[:, None, None]
    return total, encode_ms, (time.perf_counter() - start) * 1000 / len(test)


def symbols_of(codec: Codec, images: list[NDArray[np.uint8]], quality: int) -> list[Symbols]:
    """Return what the bundle's encoder gives, rounded in steps, int16 [c, h, w] each."""
    tables = codec.bundle.tables
    step, offset = tables.steps[quality - 1], tables.offsets
    found = []
    for image in images:
        latent = (codec.encode(image) - offset[:, None, None]) / step[:, None, None]
        found.append(np.clip(np.rint(latent), -32767, 32767).astype(np.int16))
    return found


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quality", type=int, default=50)
    parser.add_argument("--fit", type=int, default=60)
    parser.add_argument("--test", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    codec = Codec.load(options.bundle, threads=options.threads)
    images = open_images(options.data, codec.bundle.manifest.image.channels, options.fit + options.test)
    pixels = [image.pixels for image in images]
    held = set(spread(len(pixels), options.test))
    symbols = symbols_of(codec, pixels, options.quality)
    test = [found for index, found in enumerate(symbols) if index in held]
    fit = [found for index, found in enumerate(symbols) if index not in held]
    ways: dict[str, Callable[[], tuple[float, float, float]]] = {
        "factorised": lambda: factorised(fit, test),
        **{f"classes {number}": (lambda number=number: classes(fit, test, number)) for number in (2, 4, 8, 16)},
        "context": lambda: context(fit, test),
    }
    rows = []
    for name, way in ways.items():
        bits, encode_ms, decode_ms = way()
        rows.append({"prior": name, "bytes": bits / 8 / len(test), "encode_ms": encode_ms, "decode_ms": decode_ms})
    streams = [codec.compress(pixels[index], options.quality) for index in sorted(held)]
    payload = sum(stream_info(data).payload_bytes for data in streams) / len(streams)
    rows.append({"prior": f"the bundle's {codec.bundle.manifest.prior.kind}, a stream each", "bytes": payload})
    print(f"{codec.bundle.manifest.name}, quality {options.quality}, {len(test)} images, fitted on {len(fit)}")
    print("| prior | bytes an image | against factorised | tables: encode, decode ms |\n|---|---|---|---|")
    for row in rows:
        percent = (row["bytes"] / rows[0]["bytes"] - 1) * 100
        times = f"{row['encode_ms']:.2g}, {row['decode_ms']:.2g}" if "encode_ms" in row else ""
        print(f"| {row['prior']} | {row['bytes']:.1f} | {percent:+.1f} % | {times} |")
    if options.output:
        facts = {"bundle": codec.bundle.manifest.name, "quality": options.quality, "test": len(test), "fit": len(fit)}
        options.output.write_text(json.dumps({"schema": 1, **facts, "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
