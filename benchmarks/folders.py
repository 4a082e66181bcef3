"""Files a second of `aeedge compress FOLDER` and `decompress FOLDER`, one at a time and several at once.

python benchmarks/folders.py --images FOLDER [--quick]

Whole commands, from process start to exit, files written and flushed to the disk; all ways take turns, and each must
write the same bytes. The photographs are resized to --size.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from record import RESULTS, goal, save

from aeedge.machine import environment
from aeedge_runtime.inference.processors import default_threads

LEAST_GAIN = 1.0


def prepare(images: Path, count: int, size: str, folder: Path) -> list[Path]:
    """Write the photographs as JPEG of one size and quality 92."""
    width, height = map(int, size.split("x"))
    sources = sorted(path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    folder.mkdir()
    found = []
    for source in sources:
        with Image.open(source) as image:
            whole = image.convert("RGB")
        turned = whole if whole.width >= whole.height else whole.transpose(Image.Transpose.ROTATE_90)
        found.append(folder / f"{len(found):04}.jpg")
        turned.resize((width, height), Image.Resampling.LANCZOS).save(found[-1], quality=92)
    return found


def ways(cores: int) -> dict[str, tuple[str, ...]]:
    """Name of each way, and its options."""
    return {
        "one at a time": ("--jobs", "1"),
        "one at a time, one thread": ("--jobs", "1", "--threads", "1"),
        "default": (),
        "two jobs a core": ("--jobs", str(2 * cores), "--threads", "1"),
    }


def timed(command: str, source: Path, target: Path, words: tuple[str, ...]) -> float:
    """Seconds of one command."""
    line = [sys.executable, "-m", "aeedge", command, str(source), "-o", str(target), *words]
    start = time.perf_counter()
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def measure(source: Path, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Time both commands in every way, in turns."""
    plans = ways(default_threads())
    times: dict[tuple[str, str], list[float]] = {}
    results: dict[str, dict[str, bytes]] = {}
    for turn in range(repeats):
        for name, words in list(plans.items())[:: 1 if turn % 2 == 0 else -1]:
            streams, back = folder / f"streams-{turn}-{name}", folder / f"back-{turn}-{name}"
            for command, first, target in (("compress", source, streams), ("decompress", streams, back)):
                print(f"{turn + 1} of {repeats}  {command}, {name}", flush=True)
                times.setdefault((command, name), []).append(timed(command, first, target, words))
                found = contents(target)
                if results.setdefault(command, found) != found:
                    raise SystemExit(f"{command}, {name}: other bytes than the way before")
    count = len(contents(source))
    return [
        {
            "command": command,
            "way": name,
            "options": list(plans[name]),
            "seconds": [round(value, 3) for value in values],
            "files_per_s": round(count / statistics.median(values), 3),
        }
        for (command, name), values in times.items()
    ]


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer files, once")
    parser.add_argument("--out", type=Path, default=RESULTS / "folders.json")
    chosen = parser.parse_args()
    facts = environment(sys.argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = prepare(chosen.images, 12 if chosen.quick else chosen.count, chosen.size, folder / "images")
        results = measure(folder / "images", folder, 1 if chosen.quick else chosen.repeats)
    rates = {(result["command"], result["way"]): result["files_per_s"] for result in results}
    goals = []
    for command in ("compress", "decompress"):
        for way in ("one at a time", "one at a time, one thread", "default", "two jobs a core"):
            print(f"{command:<11} {way:<26} {rates[command, way]:8.2f} files/s")
        gain = rates[command, "default"] / rates[command, "one at a time"]
        goals.append(goal(f"{command}: default against --jobs 1", gain, LEAST_GAIN, "times", at_most=False))
    save(
        chosen.out,
        {
            "environment": facts,
            "files": len(files),
            "size": chosen.size,
            "results": results,
            "goals": goals,
        },
    )


if __name__ == "__main__":
    main()
