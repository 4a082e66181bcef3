"""What an application gains from a limit on calls, cancel, parts of streams, warm and close.

python benchmarks/embedding.py [--clients 20] [--requests 200] [--quick]

Every limit runs in processes of its own, which take turns, forwards and then backwards, and every answer is checked.
CPU time a request says more than requests a second where other processes want the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from record import goal, options, save

from aeedge.benchmark.pictures import draw_picture, fit
from aeedge.machine import environment
from aeedge_runtime import CanceledError, Codec

LIMITS = (None, 1, 2, 4)
CALLS = ("compress", "decompress")
SIDE = 512


def serve(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run requests in this process: clients that ask again as soon as they are answered."""
    codec = Codec.load(chosen.bundle, threads=chosen.threads, max_concurrent=chosen.limit)
    picture = fit(draw_picture(codec.bundle.manifest.image.channels), SIDE, SIDE)
    stream = codec.compress(picture)
    pixels = codec.decompress(stream)
    before_mb = peak_mb()

    def request(_: int) -> float:
        start = time.perf_counter()
        if chosen.call == "compress":
            right = codec.compress(picture) == stream
        else:
            right = np.array_equal(codec.decompress(stream), pixels)
        if not right:
            raise SystemExit("found another answer, expected that of a single thread")
        return 1e3 * (time.perf_counter() - start)

    start, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(chosen.clients) as clients:
        times_ms = sorted(clients.map(request, range(chosen.requests)))
    return {
        "requests_per_s": chosen.requests / (time.perf_counter() - start),
        "cpu_ms": 1e3 * (time.process_time() - cpu) / chosen.requests,
        "p50_ms": times_ms[len(times_ms) // 2],
        "p95_ms": times_ms[int(0.95 * len(times_ms))],
        "added_mb": peak_mb() - before_mb,
    }


def measure(chosen: argparse.Namespace, call: str, limit: int | None) -> dict[str, Any]:
    """Serve in a fresh process."""
    words = [sys.executable, __file__, "--call", call, "--bundle", chosen.bundle, "--threads", str(chosen.threads)]
    words += ["--clients", str(chosen.clients), "--requests", str(chosen.requests)]
    words += [] if limit is None else ["--limit", str(limit)]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return found


def once_ms(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of a call that was made once before."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 1)


def same(found: Any, expected: Any) -> None:
    """End the run if pixels differ by more than decoders may."""
    if np.abs(found.astype(np.int16) - expected).max() > 1:
        raise SystemExit("found other pixels in a part, expected those of the whole")


def pack_ms(codec: Codec, picture: Any) -> dict[str, float]:
    """Time single images of a pack of 1,000 crops of 64x64."""
    places = [(top, left) for top in range(0, 1280, 64) for left in range(0, 3200, 64)]
    crops = np.stack([picture[top : top + 64, left : left + 64] for top, left in places])
    data = codec.compress_batch(crops, stored_tiles=False)
    every, reader = codec.decompress_batch(data), codec.open(data)
    for index in (0, 400, 999):
        same(codec.decompress(data, index=index), every[index])
    start = time.perf_counter()
    for index in range(1000):
        same(reader.decompress(index), every[index])
    in_order_ms = time.perf_counter() - start  # seconds for a thousand
    return {
        "pack_whole_ms": once_ms(lambda: codec.decompress_batch(data)),
        "pack_index_ms": once_ms(lambda: codec.decompress(data, index=500)),
        "pack_reader_in_order_ms": round(in_order_ms, 1),
    }


def rows_ms(codec: Codec, picture: Any) -> dict[str, float]:
    """Time 256 rows of a large image."""
    data = codec.compress(picture, stored_tiles=False)
    same(codec.decompress(data, rows=(1000, 1256)), codec.decompress(data)[1000:1256])
    return {
        "image_whole_ms": once_ms(lambda: codec.decompress(data), 3),
        "image_256_rows_ms": once_ms(lambda: codec.decompress(data, rows=(1000, 1256))),
    }


def cancel_ms(codec: Codec, picture: Any) -> dict[str, float]:
    """Time from the request to cancel a compression until its call has ended."""
    waits = []
    for number in range(9):
        cancel, asked = threading.Event(), [0.0]

        def ask(cancel: threading.Event = cancel, asked: list[float] = asked) -> None:
            asked[0] = time.perf_counter()
            cancel.set()

        threading.Timer(0.2 + 0.1 * number, ask).start()
        try:
            codec.compress(picture, stored_tiles=False, cancel=cancel)
        except CanceledError:
            waits.append(1e3 * (time.perf_counter() - asked[0]))
    return {"cancel_median_ms": round(statistics.median(waits), 1), "cancel_most_ms": round(max(waits), 1)}


def first_ms(chosen: argparse.Namespace, picture: Any) -> dict[str, float]:
    """Time the first compression of a codec with and without warming, and its memory before and after closing."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for warm in (False, True, True, False):
        with Codec.load(chosen.bundle, threads=chosen.threads) as codec:
            if warm:
                codec.warm([picture.shape[:2]])
            start = time.perf_counter()
            codec.compress(picture)
            times[warm].append(1e3 * (time.perf_counter() - start))
            resident_mb = memory_mb()
    found = {"first_ms": statistics.mean(times[False]), "first_after_warm_ms": statistics.mean(times[True])}
    found["freed_by_close_mb"] = resident_mb - memory_mb()
    return {name: round(value, 1) for name, value in found.items()}


def peak_mb() -> float:
    """Return the largest resident memory so far; `ru_maxrss` would be that of the parent."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def memory_mb() -> float:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def medians(samples: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median of every figure."""
    return {name: round(statistics.median(sample[name] for sample in samples), 1) for name in samples[0]}


def main() -> None:
    """Measure, print, write JSON."""
    parser = options(__doc__, "embedding", "photo")
    parser.set_defaults(threads=1)
    parser.add_argument("--clients", type=int, default=20, help="threads that share the codec")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=2, help="passes over all configurations and back")
    parser.add_argument("--call", choices=CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.call:
        print(json.dumps(serve(chosen)))
        return
    if chosen.quick:
        chosen.requests, chosen.repeats = 60, 1
    large = fit(draw_picture(Codec.load(chosen.bundle).bundle.manifest.image.channels), 6000, 4000)
    facts = environment(sys.argv)
    parts = first_ms(chosen, large[:SIDE, :SIDE])
    with Codec.load(chosen.bundle, threads=chosen.threads) as codec:
        for measured in (pack_ms, rows_ms, cancel_ms):
            parts |= measured(codec, large)
    print("  ".join(f"{name} {value}" for name, value in parts.items()))
    cases = [(call, limit) for call in CALLS for limit in LIMITS]
    samples: dict[tuple[str, int | None], list[dict[str, Any]]] = {case: [] for case in cases}
    for order in (cases, cases[::-1]) * chosen.repeats:
        for case in order:
            samples[case].append(measure(chosen, *case))
    results = [{"call": call, "max_concurrent": limit, **medians(samples[call, limit])} for call, limit in cases]
    for result in results:
        print("  ".join(f"{name} {value}" for name, value in result.items()))
    goals = [goal("the longest wait after cancel", parts["cancel_most_ms"], 500, "ms", at_most=True)]
    for call in CALLS:
        free, *limited = (result for result in results if result["call"] == call)
        two = next(result for result in limited if result["max_concurrent"] == 2)
        for name, title, most in (("cpu_ms", "CPU time", 1), ("p95_ms", "p95", 1), ("added_mb", "memory", 0.6)):
            share = two[name] / free[name]
            goals.append(goal(f"{call}: {title} with a limit of 2, over none", share, most, "x", at_most=True))
    arguments = {"clients": chosen.clients, "requests": chosen.requests, "threads": chosen.threads, "side": SIDE}
    save(chosen.out, {"environment": facts, **arguments, "results": results, "parts": parts, "goals": goals})


if __name__ == "__main__":
    main()
