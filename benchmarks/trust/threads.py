"""Many at once: one codec under eight threads, children forked while threads work, memory over thousands of images.

python benchmarks/trust/threads.py [--cases 10000] [--seed 0]     cases: images of random size
"""

from __future__ import annotations

import os
import signal
import threading
import time
import unittest.mock
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from samples import BUNDLES, NAMES, codec, picture
from trials import Trials, finish, parser

from aeedge_runtime import Bundle, Codec

THREADS = 8
CODEC_THREADS = 2
CHILD_S = 60.0
SMALL_CHUNK = 100
"""Symbols of a chunk so small that every picture here has several, each with a thread of the codec's own."""


def one_result(calls: int) -> Trials:
    """One codec, eight threads, so many calls each, from its first use on: one distinct result."""
    trials = Trials()
    for name in NAMES:
        shared = Codec.load(BUNDLES / name, threads=CODEC_THREADS)
        pixels = picture(50, 60, shared.bundle.manifest.image.channels)
        expected = codec(name).compress(pixels, 70)
        image = codec(name).decompress(expected)
        barrier = threading.Barrier(THREADS)

        def work(_: int, shared: Codec = shared, pixels: Any = pixels, barrier: Any = barrier) -> list[Any]:
            barrier.wait()
            found = []
            for _ in range(calls):
                data = shared.compress(pixels, 70)
                found.append((data, shared.decompress(data).tobytes()))
            return found

        with ThreadPoolExecutor(THREADS) as pool:
            for results in pool.map(work, range(THREADS)):
                for found in results:
                    trials.note(name, "same" if found == (expected, image.tobytes()) else "!another result")
    return trials


def forks(cases: int) -> Trials:
    """Children forked while four threads load, compress and decompress: each works, and ends."""
    trials = Trials()
    if not hasattr(os, "fork"):
        return trials
    for name in NAMES:
        shared = Codec.load(BUNDLES / name, threads=CODEC_THREADS)
        pixels = picture(40, 40, shared.bundle.manifest.image.channels)
        expected = shared.compress(pixels, 80)
        stop = threading.Event()

        def work(name: str = name, pixels: Any = pixels, stop: Any = stop) -> None:
            while not stop.is_set():
                fresh = Codec.load(Bundle.load(BUNDLES / name), threads=CODEC_THREADS)
                fresh.decompress(fresh.compress(pixels, 80))

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for number in range(cases // len(NAMES)):
            trials.note(f"{name} {number}", child(lambda: shared.compress(pixels, 80) == expected))  # noqa: B023
        stop.set()
        for worker in workers:
            worker.join()
    return trials


def child(check: Callable[[], bool]) -> str:
    """Outcome of a check in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads: the very case
        number = os.fork()
    if not number:
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + CHILD_S
    while time.monotonic() < end:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            return "works" if status == 0 else f"!ended with {os.waitstatus_to_exitcode(status)}"
        time.sleep(0.005)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return "!hung"


def resident_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def memory(cases: int, seed: int) -> dict[str, Any]:
    """Images of random size and quality, each there and back: resident memory and descriptors along the way."""
    random = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for name in NAMES:
        fresh = Codec.load(BUNDLES / name, threads=1)
        channels = fresh.bundle.manifest.image.channels
        images = cases // len(NAMES)
        points = []
        for number in range(images + 1):
            if number % max(1, images // 5) == 0:
                points.append((number, resident_mb(), len(list(Path("/proc/self/fd").iterdir()))))
            height, width = random.integers(1, 201, 2)
            pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
            data = fresh.compress(pixels, int(random.integers(1, 101)))
            if fresh.decompress(data).shape != pixels.shape:
                raise SystemExit(f"{name}: {height}x{width} came back in another shape")
        (first, early, descriptors), (last, late, left) = points[1], points[-1]
        growth = (late - early) / (last - first) * 1000
        found[name] = {
            "images": images,
            "mb_per_1000_after_warm_up": round(growth, 3),
            "descriptors": [descriptors, left],
            "faults": int(growth >= 1 or descriptors != left),
        }
    return found


def run(cases: int, seed: int) -> dict[str, Any]:
    """Try everything and return the facts."""
    found = {"threads": one_result(min(200, cases)).facts(), "forks": forks(min(1000, cases)).facts()}
    with unittest.mock.patch("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", SMALL_CHUNK):
        found["threads, several chunks"] = one_result(min(200, cases)).facts()
        found["forks, several chunks"] = forks(min(1000, cases)).facts()
    return {**found, "memory": memory(cases, seed)}


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 10_000).parse_args()
    return finish("threads", run(arguments.cases, arguments.seed), arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
