"""Large images: cost of a pixel at 1, 6, 24 and 100 megapixels, at once and in blocks, and memory above the image.

python benchmarks/large_images.py [--quick]

Each measurement is a fresh process with one thread, warmed up at that size. Costs are processor time, which other
programs on the machine disturb less than the time of the clock; both are in the figures. Memory is the peak of the
resident set from the first call on, less what was resident before it and less the image that the call returns. For the
command line at the largest size it is the peak of the whole process, less the image once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import RESULTS, goal, save

from aeedge.benchmark.meters import peak_bytes, reset_peak, resident_bytes
from aeedge.benchmark.pictures import as_file, draw_picture, fit
from aeedge.machine import environment
from aeedge_runtime import Bundle, Codec

AT_ONCE, IN_BLOCKS = "at once", "in blocks"
BOTH = (3000, 2000)
MEGAPIXEL, PHOTO, LARGEST = (1224, 816), (6000, 4000), (10_000, 10_000)
MOST_GROWTH_PERCENT, MOST_COST_PERCENT, MOST_MB = 15, 35, 600
MINIMUM_CALLS_MS = 2000


def measure(operation: str, bundle: str, width: int, height: int, stream: Path) -> dict[str, Any]:
    """Time and memory of one operation in this process; compress leaves the stream that decompress takes."""
    codec = Codec.load(bundle, threads=1)
    pixels = fit(draw_picture(codec.bundle.manifest.image.channels), width, height)
    codec.decompress(codec.compress(pixels[:64, :64]))  # opens the graphs
    data = b"" if operation == "compress" else stream.read_bytes()
    if operation == "decompress":
        del pixels
    base = resident_bytes()
    if base is None or not reset_peak():
        raise SystemExit("found no peak of memory that can be reset, expected /proc/self/clear_refs of Linux")
    wall, work = [], []
    while len(wall) < 2 or 1e3 * sum(wall[1:]) < MINIMUM_CALLS_MS:
        start, busy = time.perf_counter(), time.process_time()
        result: Any = codec.compress(pixels) if operation == "compress" else codec.decompress(data)
        wall.append(time.perf_counter() - start)
        work.append(time.process_time() - busy)
        if len(wall) == 1:  # this call also warms up: its memory counts, its time does not
            above = (peak_bytes() or 0) - base - (0 if operation == "compress" else result.nbytes)
    wall, work = wall[1:], work[1:]
    if operation == "compress":
        stream.write_bytes(result)
    elif result.shape[:2] != (height, width):
        raise SystemExit(f"found an image of shape {result.shape}, expected {height} rows and {width} columns")
    size = width * height
    return {
        "calls": len(wall),
        "processor_ns_per_pixel": round(1e9 * statistics.median(work) / size, 2),
        "clock_ns_per_pixel": round(1e9 * statistics.median(wall) / size, 2),
        "memory_above_image_mb": round(above / 1e6, 1),
        "bytes": len(result) if operation == "compress" else len(data),
    }


def with_limit(bundle: str, band_pixels: int, folder: Path) -> Path:
    """Return a copy of a bundle with another size limit for blocks."""
    place = Path(Bundle.load(bundle).source)
    target = Path(shutil.copytree(place, folder / f"bundle-{band_pixels}"))
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["limits"]["band_pixels"] = band_pixels
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def in_process(operation: str, bundle: str, size: tuple[int, int], stream: Path) -> dict[str, Any]:
    """`measure` in a fresh process."""
    line = [sys.executable, __file__, "--measure", operation, bundle, *map(str, size), str(stream)]
    found = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def cases(bundle: str, folder: Path, quick: bool) -> list[tuple[str, str, tuple[int, int], int]]:
    """Way, bundle, size and repeats of what is measured."""
    blocks = str(with_limit(bundle, 1 << 20, folder))
    usual = [
        (AT_ONCE, bundle, MEGAPIXEL, 3),
        (AT_ONCE, bundle, BOTH, 3),
        (IN_BLOCKS, str(with_limit(bundle, 5_000_000, folder)), BOTH, 3),
    ]
    if quick:
        return [(AT_ONCE, bundle, (768, 512), 1), (IN_BLOCKS, blocks, MEGAPIXEL, 1)]
    return [*usual, (IN_BLOCKS, bundle, PHOTO, 2), (IN_BLOCKS, bundle, LARGEST, 1)]


def collect(bundle: str, quick: bool) -> list[dict[str, Any]]:
    """Measure every case, the repeats in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = cases(bundle, folder, quick)
        found: dict[tuple[str, str, tuple[int, int]], list[dict[str, Any]]] = {}
        for turn in range(max(repeats for *_, repeats in plan)):
            for way, place, size, repeats in plan:
                if turn >= repeats:
                    continue
                for operation in ("compress", "decompress"):
                    print(f"{operation} {size[0]}x{size[1]} {way}", flush=True)
                    answer = in_process(operation, place, size, folder / f"{way}-{size[0]}.aee")
                    found.setdefault((operation, way, size), []).append(answer)
        _check_bytes(folder, plan)
    return [
        {"operation": operation, "way": way, "width": size[0], "height": size[1], **_median(answers)}
        for (operation, way, size), answers in found.items()
    ]


def _check_bytes(folder: Path, plan: list[tuple[str, str, tuple[int, int], int]]) -> None:
    """At once and in blocks must give streams of nearly one size."""
    streams = {}
    for way, _, size, _ in plan:
        streams.setdefault(size, []).append(len((folder / f"{way}-{size[0]}.aee").read_bytes()))
    for size, lengths in streams.items():
        if max(lengths) > 1.0001 * min(lengths) + 16:
            raise SystemExit(f"{size[0]}x{size[1]}: found streams of {lengths} bytes, expected about the same")


def _median(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each fact, of memory the most, and the costs of every process."""
    found = {key: statistics.median(answer[key] for answer in answers) for key in answers[0]}
    found["memory_above_image_mb"] = max(answer["memory_above_image_mb"] for answer in answers)
    return found | {"processes_ns_per_pixel": [answer["processor_ns_per_pixel"] for answer in answers]}


def command_line(bundle: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Peak of memory of `aeedge compress` and `aeedge decompress`, the whole process less the bytes of the image."""
    with tempfile.TemporaryDirectory() as name:
        source, stream = Path(name) / "image.jpg", Path(name) / "image.aee"
        pixels = fit(draw_picture(3), *size)
        source.write_bytes(as_file(pixels, "jpeg"))
        del pixels
        steps = [
            ("compress", source, stream),
            ("decompress", stream, Path(name) / "restored.png"),
            ("decompress", stream, Path(name) / "restored.jpg"),
        ]
        found = []
        for operation, given, made in steps:
            line = [sys.executable, "-m", "aeedge", operation, str(given), "-m", bundle, "-o", str(made)]
            print(f"aeedge {operation} to {made.suffix}", flush=True)
            process = subprocess.Popen([*line, "--threads", "1"], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{operation}: found exit code {process.returncode}, expected 0")
            above = round((usage.ru_maxrss * 1024 - 3 * size[0] * size[1]) / 1e6, 1)
            found.append({"operation": operation, "to": made.suffix, "memory_above_image_mb": above})
    return found


def goals(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Growth of the cost, price of the blocks, memory."""
    found = []
    for operation in ("compress", "decompress"):
        rows = {(row["way"], (row["width"], row["height"])): row for row in results if row["operation"] == operation}

        def more(one: tuple[str, tuple[int, int]], other: tuple[str, tuple[int, int]], rows: Any = rows) -> float:
            return float(100 * (rows[one]["processor_ns_per_pixel"] / rows[other]["processor_ns_per_pixel"] - 1))

        growth = more((IN_BLOCKS, PHOTO), (AT_ONCE, MEGAPIXEL))
        price = more((IN_BLOCKS, BOTH), (AT_ONCE, BOTH))
        memory = rows[IN_BLOCKS, LARGEST]["memory_above_image_mb"]
        name = f"{operation}: a pixel of 24 megapixels against one of 1 megapixel"
        found.append(goal(name, growth, MOST_GROWTH_PERCENT, "% more", at_most=True))
        name = f"{operation}: a pixel in blocks against at once, 6 megapixels"
        found.append(goal(name, price, MOST_COST_PERCENT, "% more", at_most=True))
        name = f"{operation}: memory above the image at 100 megapixels"
        found.append(goal(name, memory, MOST_MB, "MB", at_most=True))
    return found


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="photo", help="folder, or name of a shipped one")
    parser.add_argument("--quick", action="store_true", help="small, once, without goals; for a try")
    parser.add_argument("--out", type=Path, default=RESULTS / "large_images.json")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        operation, bundle, width, height, stream = chosen.measure
        print(json.dumps(measure(operation, bundle, int(width), int(height), Path(stream))))
        return
    facts = environment(sys.argv)
    results = collect(chosen.bundle, chosen.quick)
    for row in results:
        print(
            f"{row['operation']:<11}{row['width']:>6}x{row['height']:<6}{row['way']:<10}"
            f"{row['processor_ns_per_pixel']:8.1f} ns a pixel {row['memory_above_image_mb']:8.1f} MB above the image"
        )
    commands = command_line(chosen.bundle, MEGAPIXEL if chosen.quick else LARGEST)
    for row in commands:
        print(f"aeedge {row['operation']} to {row['to']}: {row['memory_above_image_mb']} MB above the image")
    report = {"results": results, "command_line": commands, "goals": [] if chosen.quick else goals(results)}
    save(chosen.out, {"environment": facts, **report})


if __name__ == "__main__":
    main()
