"""The decoder of `photo` as PyTorch's exporter writes it, and as it ships: in turns, with what each operator takes.

python benchmarks/decoder_graph.py [--threads N] [--quick]

What `graphs.fold_scaling` and `graphs.reorder` do to a decoder, one after the other, for a photo of 768x512 and for
32x32 pixels. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import statistics
import sys
import tempfile
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from record import RESULTS, goal, save

from aeedge.machine import environment
from aeedge.models import build_model, model_config
from aeedge.presets import find_preset
from aeedge.training.initial import pretrained_weights
from aeedge_export.frozen import frozen_copy
from aeedge_export.graphs import simplify
from aeedge_export.graphs.build import export_graph, graph_specs
from aeedge_export.graphs.canonical import graph_bytes
from aeedge_export.precision.cost import time_graphs
from aeedge_runtime.inference.processors import default_threads
from aeedge_runtime.inference.session import SPIN_US, SessionOptions

SIZES = [(768, 512), (32, 32)]
STEPS = ("scale_last_layer", "arrange")
LEAST_GAIN = 1.0
RUNS = 40


@contextlib.contextmanager
def without(*steps: str) -> Iterator[None]:
    """Leave out some of what is done to a graph."""
    with contextlib.ExitStack() as stack:
        for step in steps:
            stack.enter_context(unittest.mock.patch.object(simplify, step))
        yield


def decoders() -> dict[str, bytes]:
    """Return the graph by what was done to it."""
    model = build_model(model_config(find_preset("photo").model))
    model.load_state_dict(pretrained_weights("photo"))
    with torch.no_grad():
        spec = graph_specs(frozen_copy(model))["decoder"]
        made = {}
        for done in range(len(STEPS) + 1):
            with without(*STEPS[done:]):
                made[" and ".join(STEPS[:done]) or "plain"] = graph_bytes(export_graph(spec), {})
    return made


def operators_ms(graph: bytes, feed: dict[str, Any], threads: int, runs: int) -> dict[str, float]:
    """Milliseconds of the operators of one kind, each the median over runs, added up; what takes 0.05 and more."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    settings.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        for _ in range(runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["args"]["op_name"], event["name"]].append(event["dur"] / 1000)
    kinds: dict[str, float] = collections.defaultdict(float)
    for (kind, _), found in times.items():
        kinds[kind] += statistics.median(found)
    ranked = sorted(kinds.items(), key=lambda pair: -pair[1])
    return {kind: round(milliseconds, 2) for kind, milliseconds in ranked if milliseconds >= 0.05}


def main() -> None:
    """Export, measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--quick", action="store_true", help="fewer runs, noisier; for a try")
    parser.add_argument("--out", type=Path, default=RESULTS / "decoder_graph.json")
    chosen = parser.parse_args()
    graphs = decoders()
    turns = 5 if chosen.quick else 100
    results, goals = [], []
    for width, height in SIZES:
        latent = np.random.default_rng(0).normal(size=(1, 320, height // 16, width // 16)).astype(np.float32)
        feed = {"latent": latent}
        for name, graph in graphs.items():
            options = SessionOptions(threads=chosen.threads)
            timing = time_graphs(graphs["plain"], graph, feed, options, turns * SIZES[0][0] // width)
            result = {"graph": name, "width": width, "height": height, "ms": round(timing.variant_ms, 4)}
            result |= {"plain_ms": round(timing.fp32_ms, 4), "speed": round(timing.speed, 4)}
            result |= {"noise": round(timing.noise, 4)}
            if width == SIZES[0][0]:
                result["operators_ms"] = operators_ms(graph, feed, chosen.threads, 5 if chosen.quick else RUNS)
            results.append(result)
            print(f"{width}x{height}  {name:<30} {timing.variant_ms:8.3f} ms, plain {timing.fp32_ms:8.3f}", flush=True)
        goals.append(goal(f"speed at {width}x{height}", timing.speed, LEAST_GAIN, "times", at_most=False))
    facts = {"threads": chosen.threads, "environment": environment(sys.argv)}
    save(chosen.out, {**facts, "results": results, "goals": goals})


if __name__ == "__main__":
    main()
