"""Start-up and footprint: imports, the command line, compress of one photo from process start, installed size.

python benchmarks/startup.py [--quick]
python benchmarks/startup.py --environment VENV     also the size of a whole environment with aeedge[cpu] and pip

Every figure is the time of a fresh process; the cases take turns. Run it with the interpreter of an environment
without PyTorch: the sizes are of what aeedge[cpu] needs, found through the requirements of what is installed there.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from record import ROOT, goal, options, save

from aeedge.benchmark.pictures import as_file, draw_picture, fit, load_pictures
from aeedge.benchmark.summary import noise_percent, percentile
from aeedge.benchmark.tables import number
from aeedge.machine import environment
from aeedge_runtime import stream_info

REQUIRED = ("numpy", "Pillow", "click", "tabulate", "onnxruntime")
"""Of aeedge[cpu], as pyproject.toml lists them."""

IMPORT = "from aeedge_runtime import Codec; from aeedge_runtime.inference.backend import load_backend; load_backend()"
MAIN = "import sys; from aeedge.cli.main import main; sys.exit(main())"
PACKAGES = ("aeedge", "export/aeedge_export", "runtime/aeedge_runtime")


@dataclass(frozen=True)
class Start:
    """A process to time.

    Attributes:
        name: what it does.
        words: its arguments after the interpreter.
        check: raises SystemExit when its output is wrong.
        goal_s: what it should take at most, or None.
    """

    name: str
    words: Sequence[str]
    check: Callable[[bytes], None]
    goal_s: float | None = None


def starts(folder: Path, photo: Path, bundle: str) -> list[Start]:
    """Return the processes to time."""
    target = folder / "photo.aee"
    command = ["-c", MAIN, "compress", os.fspath(photo), "-m", bundle, "-o", os.fspath(target), "--force"]

    def is_help(output: bytes) -> None:
        if b"compress" not in output:
            raise SystemExit("aeedge --help printed no help")

    def is_stream(_: bytes) -> None:
        if stream_info(target).count != 1:
            raise SystemExit("aeedge compress wrote no stream")
        target.unlink()

    return [
        Start("python -c pass", ["-c", "pass"], _anything),
        Start("import aeedge_runtime", ["-c", "import aeedge_runtime"], _anything),
        Start("import aeedge_runtime, numpy, onnxruntime", ["-c", IMPORT], _anything, 0.35),
        Start("aeedge --help", ["-c", MAIN, "--help"], is_help, 0.15),
        Start("aeedge compress, one photo of 768x512", command, is_stream, 0.8),
    ]


def _anything(_: bytes) -> None:
    """Take any output."""


def measure(cases: Sequence[Start], repeats: int) -> list[dict[str, Any]]:
    """Time every case in turns, in ms, and check each result."""
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for turn in range(repeats + 1):  # the first turn fills the file cache and writes byte code
        for case in cases if turn % 2 else reversed(cases):
            start = time.perf_counter()
            done = subprocess.run([sys.executable, *case.words], capture_output=True, check=True)
            elapsed_ms = 1e3 * (time.perf_counter() - start)
            case.check(done.stdout)
            if turn:
                times[case.name].append(elapsed_ms)
    return [_figures(case, times[case.name]) for case in cases]


def _figures(case: Start, values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    return {
        "name": case.name,
        "p50_ms": round(statistics.median(values), 1),
        "p90_ms": round(percentile(ordered, 90), 1),
        "best_ms": round(ordered[0], 1),
        "noise_percent": round(noise_percent([[value] for value in values]) or 0.0, 1),
        "samples": len(values),
    }


def installed_bytes() -> dict[str, int]:
    """Bytes on disk of aeedge itself and of every distribution that aeedge[cpu] brings, byte code included."""
    own = sum(_folder_bytes(ROOT / name) for name in PACKAGES)
    sizes, waiting = {"aeedge": own}, list(REQUIRED)
    while waiting:
        name = waiting.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement of another platform
        title = found.metadata["Name"].lower()
        if title in sizes:
            continue
        files = [Path(os.fspath(found.locate_file(file))) for file in found.files or ()]
        sizes[title] = sum(path.stat().st_size for path in files if path.is_file())
        waiting += [re.split(r"[\s;<>=!~\[(]", text)[0] for text in found.requires or () if "extra ==" not in text]
    return sizes


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def draw(path: Path, times: Sequence[dict[str, Any]], sizes: dict[str, int]) -> None:
    """Draw bars of times and sizes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    upper.barh([case["name"] for case in times], [case["p50_ms"] for case in times], color="#1f5fa8")
    upper.set_xlabel("ms from process start (median)")
    ordered = sorted(sizes.items(), key=lambda item: item[1])
    lower.barh([name for name, _ in ordered], [size / 1e6 for _, size in ordered], color="#e0722d")
    lower.set_xlabel("MB installed")
    for axes in (upper, lower):
        axes.tick_params(labelsize=7)
        axes.invert_yaxis()
    figure.savefig(path.with_suffix(".png"), dpi=150)
    print(f"written: {path.with_suffix('.png')}")


def main() -> None:
    """Measure, print, write JSON and picture."""
    parser = options(__doc__, "startup", "photo")
    parser.add_argument("--environment", type=Path, help="a virtual environment to weigh")
    chosen: argparse.Namespace = parser.parse_args()
    facts = environment(sys.argv)
    picture = load_pictures(chosen.images[:1], 3)[0] if chosen.images else draw_picture(3)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(as_file(fit(picture, 768, 512), "jpeg"))
        cases = starts(Path(folder), photo, chosen.bundle)
        times = measure(cases, 4 if chosen.quick else 20)
    goals = []
    for case, row in zip(cases, times, strict=True):
        spread = f"best {number(row['best_ms'])}, p90 {number(row['p90_ms'])}"
        print(f"{row['name']:44}{number(row['p50_ms']):>8} ms   {spread}")
        if case.goal_s is not None:
            goals.append(goal(case.name, row["p50_ms"] / 1e3, case.goal_s, "s", at_most=True))
    sizes = installed_bytes()
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{name:44}{size / 1e6:>8.1f} MB")
    goals.append(goal("aeedge[cpu] installed", sum(sizes.values()) / 1e6, 200, "MB", at_most=True))
    report = {"environment": facts, "results": times, "installed_bytes": sizes, "goals": goals}
    if chosen.environment:
        report["environment_bytes"] = _folder_bytes(chosen.environment)
        print(f"{chosen.environment.name:44}{report['environment_bytes'] / 1e6:>8.1f} MB, pip included")
    save(chosen.out, report)
    draw(chosen.out, times, sizes)


if __name__ == "__main__":
    main()
