"""A GPU against two CPU cores and against PyTorch on the same GPU, in one run; refuses where there is no GPU.

    python benchmarks/cuda.py [--device cuda:0] [--size 3840x2160]

Network time of the encoder, compress and decompress end to end on both devices, eager PyTorch, torch.compile and
channels-last float16 with the weights that ship; streams of either device decoded by the other; memory over changing
sizes. Writes results/cuda.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, goal, save

from aeedge.benchmark.pictures import draw_picture, fit
from aeedge.machine import environment
from aeedge_runtime import Codec, DeviceError
from aeedge_runtime.coding.networks import Networks

PRESET = "photo"
CPU_THREADS = 2
RUNS = 30
SIZES = ((480, 320), (768, 512), (1024, 768), (640, 640), (1920, 1080))
"""Widths and heights that memory is watched over."""

NETWORK_MS, END_TO_END, MEMORY_MIB = 12.0, 10.0, 64
"""Goals: encoder's network time, speed against two cores, growth of GPU memory over three rounds of SIZES."""


def median_ms(call: Callable[[], object], runs: int = RUNS) -> float:
    """Median time of a call, after three that are not timed."""
    times = []
    for turn in range(runs + 3):
        start = time.perf_counter()
        call()
        if turn >= 3:
            times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def torch_ms(image: np.ndarray, device: str) -> dict[str, float]:
    """Median time of the encoder in PyTorch, from an image on the device to a latent on it."""
    import torch

    from aeedge.models import build_model
    from aeedge.presets import find_preset
    from aeedge.training.initial import pretrained_weights

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    model = build_model(find_preset(PRESET).model)
    model.load_state_dict(pretrained_weights(PRESET))
    model = model.to(device).eval()
    pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
    compiled = torch.compile(model.encode, dynamic=False)

    def timed(network: Callable[[Any], Any], given: Any) -> float:
        def call() -> None:
            network(given)
            torch.cuda.synchronize()

        with torch.inference_mode():
            return median_ms(call)

    found = {"eager": timed(model.encode, pixels), "compile": timed(compiled, pixels)}
    halved = model.half().to(memory_format=torch.channels_last)
    found["channels-last float16"] = timed(halved.encode, pixels.half().to(memory_format=torch.channels_last))
    return found


def gpu_memory_mib() -> int:
    """Memory in use on the first GPU, of all processes."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def memory_growth_mib(codec: Codec, picture: np.ndarray) -> int:
    """How much more memory is used after three rounds of changing sizes than after the first."""
    used = []
    for _ in range(4):
        for width, height in SIZES:
            codec.decompress(codec.compress(fit(picture, width, height)))
        used.append(gpu_memory_mib())
    return used[-1] - used[0]


def exchange(cpu: Codec, gpu: Codec, picture: np.ndarray) -> dict[str, int]:
    """Streams of either device read on the other: symbols that differ and the largest difference of a pixel."""
    wrong = largest = 0
    for quality in (10, 50, 90):
        for writer in (cpu, gpu):
            stream = writer.compress(picture, quality)
            wrong += int(np.count_nonzero(cpu.decompress_symbols(stream) != gpu.decompress_symbols(stream)))
            difference = np.abs(cpu.decompress(stream).astype(int) - gpu.decompress(stream))
            largest = max(largest, int(difference.max()))
    return {"symbols_that_differ": wrong, "largest_pixel_difference": largest}


def measure(cpu: Codec, gpu: Codec, picture: np.ndarray) -> dict[str, Any]:
    """Everything but PyTorch."""
    stream = cpu.compress(picture)
    network = Networks(gpu.bundle, gpu.options).session("encoder")
    feed = {"image": picture[None]}
    found: dict[str, Any] = {"encoder_network_ms": median_ms(lambda: network.run(feed))}
    for name, codec, runs in (("gpu", gpu, RUNS), ("cpu", cpu, 5)):
        found[f"{name}_compress_ms"] = median_ms(lambda codec=codec: codec.compress(picture), runs)
        found[f"{name}_decompress_ms"] = median_ms(lambda codec=codec: codec.decompress(stream), runs)
    found["exchange"] = exchange(cpu, gpu, picture)
    found["memory_growth_mib"] = memory_growth_mib(gpu, picture)
    return found


def goals(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the project aims at, and what was found."""
    checked = [
        goal("encoder network time, copies included", found["encoder_network_ms"], NETWORK_MS, "ms", at_most=True)
    ]
    for operation in ("compress", "decompress"):
        ratio = found[f"cpu_{operation}_ms"] / found[f"gpu_{operation}_ms"]
        checked.append(goal(f"{operation} against {CPU_THREADS} cores", ratio, END_TO_END, "times", at_most=False))
    exchanged = found["exchange"]
    checked.append(goal("symbols that differ", exchanged["symbols_that_differ"], 0, "", at_most=True))
    checked.append(goal("pixel difference", exchanged["largest_pixel_difference"], 1, "of 255", at_most=True))
    checked.append(goal("growth of memory", found["memory_growth_mib"], MEMORY_MIB, "MiB", at_most=True))
    return checked


def main() -> int:
    """Measure, print, record; exit code 5 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--bundle", default="photo")
    parser.add_argument("--size", default="3840x2160")
    parser.add_argument("--without-torch", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "cuda.json")
    chosen = parser.parse_args()
    try:
        gpu = Codec.load(chosen.bundle, device=chosen.device)
    except DeviceError as error:
        print(f"cuda.py: {error}", file=sys.stderr)
        return 5
    cpu = Codec.load(chosen.bundle, threads=CPU_THREADS)
    width, height = map(int, chosen.size.split("x"))
    picture = fit(draw_picture(3), width, height)
    found = measure(cpu, gpu, picture)
    if not chosen.without_torch:
        found["torch_encoder_ms"] = torch_ms(picture, chosen.device)
        print(*(f"torch {name}: {value:.1f} ms" for name, value in found["torch_encoder_ms"].items()), sep="\n")
    facts = environment(["cuda.py", "--size", chosen.size])
    save(chosen.out, {"environment": facts, "size": chosen.size, "results": found, "goals": goals(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
