"""What an application gains from `max_concurrent`: time, latency and memory of many threads on one codec.

python benchmarks/embedding.py [--clients 20] [--requests 200] [--quick]

Every configuration runs in processes of its own, which take turns, forwards and then backwards, and every answer is
checked. CPU time a request says more than requests a second where other processes want the cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from record import goal, options, save

from aeedge.benchmark.pictures import draw_picture, fit
from aeedge.machine import environment
from aeedge_runtime import Codec

LIMITS = (None, 1, 2, 4)
CALLS = ("compress", "decompress")
SIDE = 512


def serve(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run requests in this process: clients that ask again as soon as they are answered."""
    codec = Codec.load(chosen.bundle, threads=chosen.threads, max_concurrent=chosen.limit)
    picture = fit(draw_picture(codec.bundle.manifest.image.channels), SIDE, SIDE)
    stream = codec.compress(picture)
    pixels = codec.decompress(stream)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

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
        "added_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb,
    }


def measure(chosen: argparse.Namespace, call: str, limit: int | None) -> dict[str, Any]:
    """Serve in a fresh process."""
    words = [sys.executable, __file__, "--call", call, "--bundle", chosen.bundle, "--threads", str(chosen.threads)]
    words += ["--clients", str(chosen.clients), "--requests", str(chosen.requests)]
    words += [] if limit is None else ["--limit", str(limit)]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return found


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
    facts = environment(sys.argv)
    cases = [(call, limit) for call in CALLS for limit in LIMITS]
    samples: dict[tuple[str, int | None], list[dict[str, Any]]] = {case: [] for case in cases}
    for order in (cases, cases[::-1]) * chosen.repeats:
        for case in order:
            samples[case].append(measure(chosen, *case))
    results = [{"call": call, "max_concurrent": limit, **medians(samples[call, limit])} for call, limit in cases]
    for result in results:
        print("  ".join(f"{name} {value}" for name, value in result.items()))
    goals = []
    for call in CALLS:
        free, *limited = (result for result in results if result["call"] == call)
        two = next(result for result in limited if result["max_concurrent"] == 2)
        for name, title, most in (("cpu_ms", "CPU time", 1), ("p95_ms", "p95", 1), ("added_mb", "memory", 0.6)):
            share = two[name] / free[name]
            goals.append(goal(f"{call}: {title} with a limit of 2, over none", share, most, "x", at_most=True))
    arguments = {"clients": chosen.clients, "requests": chosen.requests, "threads": chosen.threads, "side": SIDE}
    save(chosen.out, {"environment": facts, **arguments, "results": results, "goals": goals})


if __name__ == "__main__":
    main()
