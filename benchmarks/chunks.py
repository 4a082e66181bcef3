"""The chunks of a large image side by side, against one after the other with all threads, in turns.

python benchmarks/chunks.py [--size 3840x2160] [--threads N] [--quick]

Compress, decompress, and what of the latter is not the decoder: `decompress_symbols`. The streams must be the same.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
import unittest.mock
from collections.abc import Callable, Iterator

from record import goal, options, save

from aeedge.benchmark.pictures import draw_picture, fit
from aeedge.machine import environment
from aeedge_runtime import Codec, stream_info
from aeedge_runtime.coding import chunk_io as symbols
from aeedge_runtime.coding.networks import Networks

ALONE, TOGETHER = "one after the other", "side by side"
LEAST_GAIN = 1.0


@contextlib.contextmanager
def one_after_the_other() -> Iterator[None]:
    """Every chunk alone: walked over by the caller's thread, coded before the next one."""
    with (
        unittest.mock.patch.object(Networks, "workers", return_value=1),
        unittest.mock.patch.object(symbols, "CHUNKS_AT_ONCE", 1),
        unittest.mock.patch.object(symbols, "finish_together", lambda encoders: [one.finish() for one in encoders]),
    ):
        yield


def timed_ms(call: Callable[[], object]) -> float:
    """One call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Measure, print, write JSON."""
    parser = options(__doc__, "chunks", "photo")
    parser.add_argument("--size", default="3840x2160")
    parser.add_argument("--repeats", type=int, default=9)
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    codec = Codec.load(chosen.bundle, threads=chosen.threads)
    picture = fit(draw_picture(codec.bundle.manifest.image.channels), width, height)
    stream = codec.compress(picture)
    with one_after_the_other():
        if codec.compress(picture) != stream:
            raise SystemExit("found another stream one after the other, expected the same")
    calls: dict[str, Callable[[], object]] = {
        "compress": lambda: codec.compress(picture),
        "decompress": lambda: codec.decompress(stream),
        "decompress_symbols": lambda: codec.decompress_symbols(stream),
    }
    times: dict[str, dict[str, list[float]]] = {name: {ALONE: [], TOGETHER: []} for name in calls}
    repeats = 2 if chosen.quick else chosen.repeats
    for turn in range(repeats + 1):
        for name, call in calls.items():
            for way in (ALONE, TOGETHER)[:: 1 if turn % 2 else -1]:
                with one_after_the_other() if way == ALONE else contextlib.nullcontext():
                    found = timed_ms(call)
                if turn:  # the first one warms up
                    times[name][way].append(round(found, 2))
    results, goals = [], []
    for name, ways in times.items():
        medians = {way: statistics.median(found) for way, found in ways.items()}
        results.append({"operation": name, "median_ms": medians, "times_ms": ways})
        print(f"{name:<19} {ALONE} {medians[ALONE]:8.1f} ms   {TOGETHER} {medians[TOGETHER]:8.1f} ms")
        goals.append(goal(name, medians[ALONE] / medians[TOGETHER], LEAST_GAIN, "times", at_most=False))
    facts = {"threads": chosen.threads, "size": chosen.size, "chunks": stream_info(stream).chunks}
    save(chosen.out, {"environment": environment(sys.argv), **facts, "results": results, "goals": goals})


if __name__ == "__main__":
    main()
