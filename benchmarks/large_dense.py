"""The largest preset, conv-stl10 with 263 million parameters, from training to restored pictures: time and memory.

    python benchmarks/large_dense.py --data FOLDER [--steps 300] [--work DIR]

FOLDER holds 32x32 pictures as `aeedge train --data` takes them, with `train` and `test` in it. Every stage is a process
of its own, so that its peak of resident memory is its own too. Writes results/large_dense.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import RESULTS, goal, save

from aeedge.machine import environment

MIB = 1 << 20
PICTURES = 10
LOAD_LIMIT = 2.0
"""Loading may need this many times the size of the bundle, beside what an empty process with the same imports has."""

LOAD = """
import sys, onnxruntime
from aeedge_runtime import Codec
from aeedge_runtime.coding.networks import Networks
if len(sys.argv) > 1:
    codec = Codec.load(sys.argv[1], threads=int(sys.argv[2]))
    networks = Networks(codec.bundle, codec.options)
    print(*[networks.session(role).provider for role in ("encoder", "decoder")])
"""


def main() -> None:
    """Train, export, load, compress, restore; print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, help="keep everything here (6 GB); a run there is used again")
    parser.add_argument("--out", type=Path, default=RESULTS / "large_dense.json")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        report = measure(chosen, chosen.work or Path(temporary))
    facts = environment(["large_dense.py", "--data", chosen.data.name, "--steps", str(chosen.steps)])
    save(chosen.out, {"environment": facts, **report})


def measure(chosen: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run all stages in a folder."""
    run, bundle, threads = work / "run", work / "bundle", str(chosen.threads)
    pictures = first_pictures(chosen.data / "test", work / "pictures")
    stages = {"train": train(chosen, run)}
    stages["export"], printed = aeedge("export", run, "-o", bundle, "--force", "--json")
    exported = json.loads(printed)
    stages["imports"], _ = timed([sys.executable, "-c", LOAD])
    stages["load"], _ = timed([sys.executable, "-c", LOAD, str(bundle), threads])
    streams, restored = work / "streams", work / "restored"
    stages["compress"], _ = aeedge("compress", *pictures, "-m", bundle, "-o", streams, "--threads", threads, "--force")
    files = sorted(streams.glob("*.aee"))
    stages["decompress"], _ = aeedge(
        "decompress", *files, "-m", bundle, "-o", restored, "--threads", threads, "--force"
    )
    size = exported["total_bytes"] / MIB
    needed = stages["load"]["peak_mib"] - stages["imports"]["peak_mib"]
    return {
        "preset": "conv-stl10",
        "threads": chosen.threads,
        "bundle_mib": round(size, 1),
        "stages": stages,
        "parity": exported["parity"],
        "pictures": compare(pictures, files, sorted(restored.glob("*.png"))),
        "goals": [goal("memory of loading", needed / size, LOAD_LIMIT, "times the bundle", at_most=True)],
    }


def train(chosen: argparse.Namespace, run: Path) -> dict[str, float]:
    """Train, or return what an earlier call with the same folder and steps measured."""
    measured = run.with_suffix(".json")
    if measured.exists():
        found: dict[str, float] = json.loads(measured.read_text())
        if found["steps"] == chosen.steps:
            return found
    words = ["train", "conv-stl10", "--data", chosen.data, "-o", run, "--max-steps", chosen.steps]
    facts, _ = aeedge(*words, "--threads", chosen.threads, "--force")
    measured.write_text(json.dumps({**facts, "steps": chosen.steps}))
    return {**facts, "steps": chosen.steps}


def first_pictures(folder: Path, out: Path) -> list[Path]:
    """Write the first picture of each class, or of the folder, as PNG; return their paths."""
    found = sorted(folder.rglob("*.jp*g")) + sorted(folder.rglob("*.png"))
    classes: dict[Path, Path] = {}
    for path in found:
        classes.setdefault(path.parent, path)
    chosen = sorted({*classes.values(), *found[:PICTURES]}, key=lambda path: (path not in classes.values(), path))
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{place}.png" for place in range(PICTURES)]
    for source, path in zip(chosen, paths, strict=False):
        Image.open(source).convert("RGB").save(path)
    return paths


def aeedge(*words: object) -> tuple[dict[str, float], str]:
    """Run a command of aeedge; see `timed`."""
    return timed([sys.executable, "-m", "aeedge", *map(str, words)])


def timed(command: Sequence[str]) -> tuple[dict[str, float], str]:
    """Run a process; return its seconds, processor seconds and peak of resident memory, and what it printed.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError(f"{command}: found no output")
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: ended with {process.returncode}")
    facts = {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),  # kibibytes on Linux
    }
    print(f"{' '.join(command[1:4]).splitlines()[0]}: {facts}", flush=True)
    return facts, printed


def compare(pictures: Sequence[Path], streams: Sequence[Path], restored: Sequence[Path]) -> dict[str, float]:
    """Return bytes a picture and PSNR of what came back.

    Raises:
        RuntimeError: a picture is missing.
    """
    if not len(pictures) == len(streams) == len(restored):
        raise RuntimeError(f"found {len(streams)} streams and {len(restored)} pictures, expected {len(pictures)}")
    before, after = (np.stack([np.asarray(Image.open(path)) for path in paths]) for paths in (pictures, restored))
    mse = float(np.square((before.astype(np.float64) - after) / 255).mean())
    size = sum(path.stat().st_size for path in streams) / len(streams)
    return {"count": len(pictures), "bytes_each": round(size, 1), "psnr_db": round(float(-10 * np.log10(mse)), 2)}


if __name__ == "__main__":
    main()
