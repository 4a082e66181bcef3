"""The runtime beside eager and compiled PyTorch, one image at a time: a photo, and 28x28 pixels with every preset.

    python benchmarks/pytorch.py [--quick] [--threads N] [--work FOLDER]

At 28x28 a call costs what surrounds the arithmetic, so the ratio depends on how many operators a network has; at
768x512 it is the arithmetic, at which both are good. Weights do not matter. What it runs before it measures, for each
preset:

    aeedge train PRESET --data synthetic --max-steps 1 -o RUN
    aeedge export RUN -o BUNDLE

(photo presets: --data synthetic-photos, and photo --from-pretrained.)
"graph alone" is ONNX Runtime's own call, with nothing of the runtime around it. Writes results/pytorch.json.
About twelve minutes, and five for runs and bundles, which --work keeps.
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

import numpy as np
import onnx
import onnxruntime
from record import RESULTS, benchmark, effort, goal, progress, save

from aeedge.benchmark.case import AEEDGE, TORCH, Grid
from aeedge.benchmark.protocol import Effort
from aeedge_runtime import Codec
from aeedge_runtime.inference.processors import default_threads

LEAST_RATIO = {(28, 28): 3.0, (768, 512): 1.3}
"""Times as fast as eager PyTorch, by width and height."""

GRAPHS = {"encode": "encoder", "decode": "decoder"}
SMALL, PHOTOS = ("--data", "synthetic"), ("--data", "synthetic-photos")
PRESETS = {
    **dict.fromkeys(("linear-mnist", "dense-mnist", "dense-mnist-deep", "vae-mnist", "vae-mnist-deep"), SMALL),
    "conv-photo": PHOTOS,
    "photo": (*PHOTOS, "--from-pretrained"),
}
CASES = [*((preset, (28, 28)) for preset in PRESETS), ("photo", (768, 512))]


def main() -> None:
    """Train, export, measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--quick", action="store_true", help="fewer, noisier; for a try")
    parser.add_argument("--work", type=Path, help="keep runs and bundles here, and use what is there already")
    parser.add_argument("--out", type=Path, default=RESULTS / "pytorch.json")
    chosen = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for preset, size in CASES:
            run, bundle = run_and_bundle(preset, chosen.work or Path(temporary))
            report = benchmark(
                str(bundle),
                Grid(
                    operations=tuple(GRAPHS),
                    devices=("cpu",),
                    threads=(chosen.threads,),
                    batches=(1,),
                    sizes=(size,),
                    quality=50,
                    input="array",
                    against=TORCH,
                ),
                effort=effort(chosen.quick),
                run=run,
                command=[Path(sys.argv[0]).name],
                progress=progress,
            )
            results += compared(preset, size, report.results)
            for found in results[-len(GRAPHS) :]:
                found.update(graph_alone(bundle, GRAPHS[found["operation"]], size, chosen.threads))
    goals = []
    for found in results:
        size = found["width"], found["height"]
        name = f"{found['preset']}, {size[0]}x{size[1]}, {found['operation']}: speed against {TORCH[0]}"
        goals.append(goal(name, found["ratio"], LEAST_RATIO[size], "times", at_most=False))
    facts = {key: value for key, value in report.environment.items() if key not in ("bundle", "pictures")}
    save(chosen.out, {"environment": facts, "results": results, "goals": goals})


def run_and_bundle(preset: str, work: Path) -> tuple[Path, Path]:
    """Return a run of one step and its bundle, made now unless they are there."""
    run, bundle = work / preset, work / f"{preset}-bundle"
    if not bundle.exists():
        aeedge("train", preset, *PRESETS[preset], "--max-steps", "1", "-o", run, "--force")
        aeedge("export", run, "-o", bundle)
    return run, bundle


def aeedge(*words: str | Path) -> None:
    """Run a command of ours."""
    print("aeedge", *words, flush=True)
    subprocess.run([sys.executable, "-m", "aeedge", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def compared(preset: str, size: tuple[int, int], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the medians of each operation, and how many times as fast as eager PyTorch the runtime is."""
    totals = {(found["config"]["engine"], found["config"]["operation"]): found["total"] for found in results}
    return [
        {
            "preset": preset,
            "width": size[0],
            "height": size[1],
            "operation": operation,
            "ratio": round(totals[TORCH[0], operation]["p50_ms"] / totals[AEEDGE, operation]["p50_ms"], 3),
            "p50_ms": {engine: totals[engine, operation]["p50_ms"] for engine in (AEEDGE, *TORCH)},
            "noise_percent": {engine: totals[engine, operation]["noise_percent"] for engine in (AEEDGE, *TORCH)},
        }
        for operation in GRAPHS
    ]


def graph_alone(bundle: Path, graph: str, size: tuple[int, int], threads: int) -> dict[str, Any]:
    """Count the operators of a graph and time it alone on one image, warmed up as the others are."""
    codec = Codec.load(bundle)
    image = codec.bundle.manifest.image
    rows, columns = (-(-side // stride) * stride for side, stride in zip(reversed(size), image.stride, strict=True))
    pixels = np.zeros((1, rows, columns, image.channels), np.uint8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1 if image.patched else threads
    place = str(bundle / f"{graph}.onnx")
    session = onnxruntime.InferenceSession(place, settings, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: pixels if graph == "encoder" else codec.encode_batch(pixels)}
    times = []
    end = time.monotonic() + 2 * Effort().warmup_seconds
    while time.monotonic() < end:
        start = time.perf_counter_ns()
        session.run(None, given)
        times.append(time.perf_counter_ns() - start)
    half = times[len(times) // 2 :]
    return {
        "operators": len(onnx.load(place).graph.node),
        "graph_alone_ms": round(statistics.median(half) / 1e6, 4),
    }


if __name__ == "__main__":
    main()
