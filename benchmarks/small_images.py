"""One small image, 28x28 at batch 1: the runtime beside eager and compiled PyTorch, for every preset that takes it.

    python benchmarks/small_images.py [--quick] [--threads N] [--work FOLDER]

Such a call costs what surrounds the arithmetic, so the ratio depends on how many operators a network has; weights do
not matter. What it runs before it measures, for each preset:

    aeedge train PRESET --data synthetic --max-steps 1 --out RUN
    aeedge export RUN -o BUNDLE

(photo presets: --data synthetic-photos, and photo --from-pretrained.)
"graph alone" is ONNX Runtime's own call, with nothing of the runtime around it. Writes results/small_images.json.
About half an hour, a third of it for runs and bundles, which --work keeps.
"""

from __future__ import annotations

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
from record import benchmark, effort, goal, options, progress, save

from aeedge.benchmark.case import AEEDGE, TORCH, Grid
from aeedge.benchmark.exchange import Effort
from aeedge_runtime import Codec

SIDE = 28
LEAST_RATIO = 3.0
GRAPHS = {"encode": "encoder", "decode": "decoder"}
SMALL, PHOTOS = ("--data", "synthetic"), ("--data", "synthetic-photos")
PRESETS = {
    **dict.fromkeys(("linear-mnist", "dense-mnist", "dense-mnist-deep", "vae-mnist", "vae-mnist-deep"), SMALL),
    "conv-photo": PHOTOS,
    "photo": (*PHOTOS, "--from-pretrained"),
}


def main() -> None:
    """Train, export, measure, print and record."""
    parser = options(__doc__, "small_images", "")
    parser.add_argument("--work", type=Path, help="keep runs and bundles here, and use what is there already")
    chosen = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for preset, words in PRESETS.items():
            run, bundle = run_and_bundle(preset, words, chosen.work or Path(temporary))
            report = benchmark(
                str(bundle),
                Grid(
                    operations=tuple(GRAPHS),
                    devices=("cpu",),
                    threads=(chosen.threads,),
                    batches=(1,),
                    sizes=((SIDE, SIDE),),
                    quality=50,
                    input="array",
                    against=TORCH,
                ),
                effort=effort(chosen.quick),
                run=run,
                command=[Path(sys.argv[0]).name],
                progress=progress,
            )
            results += compared(preset, bundle, report.results)
    goals = []
    for found in results:
        name = f"{found['preset']}, {found['operation']}: speed against {TORCH[0]}"
        goals.append(goal(name, found["ratio"], LEAST_RATIO, "times", at_most=False))
    save(chosen.out, {"environment": report.environment, "results": results, "goals": goals})


def run_and_bundle(preset: str, words: tuple[str, ...], work: Path) -> tuple[Path, Path]:
    """Return a run of one step and its bundle, made now unless they are there."""
    run, bundle = work / preset, work / f"{preset}-bundle"
    if not bundle.exists():
        aeedge("train", preset, *words, "--max-steps", "1", "--out", run, "--force")
        aeedge("export", run, "-o", bundle)
    return run, bundle


def aeedge(*words: str | Path) -> None:
    """Run a command of ours, quietly."""
    print("aeedge", *words, flush=True)
    subprocess.run([sys.executable, "-m", "aeedge", *map(str, words)], check=True, capture_output=True, text=True)


def compared(preset: str, bundle: Path, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the medians of each operation, and how many times as fast as eager PyTorch the runtime is."""
    totals = {(found["config"]["engine"], found["config"]["operation"]): found["total"] for found in results}
    return [
        {
            "preset": preset,
            "operation": operation,
            "ratio": round(totals[TORCH[0], operation]["p50_ms"] / totals[AEEDGE, operation]["p50_ms"], 3),
            "p50_ms": {engine: totals[engine, operation]["p50_ms"] for engine in (AEEDGE, *TORCH)},
            "noise_percent": {engine: totals[engine, operation]["noise_percent"] for engine in (AEEDGE, *TORCH)},
            **graph_alone(bundle, graph),
        }
        for operation, graph in GRAPHS.items()
    ]


def graph_alone(bundle: Path, graph: str) -> dict[str, Any]:
    """Count the operators of a graph and time it alone on one image, one thread, warmed up as the others are."""
    codec = Codec.load(bundle)
    image = codec.bundle.manifest.image
    rows, columns = (-(-SIDE // stride) * stride for stride in image.stride)
    pixels = np.zeros((1, rows, columns, image.channels), np.uint8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
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
