"""A prior fitted to own networks: bytes at equal PSNR before and after, and what the prior costs.

python benchmarks/own_networks.py --train FOLDER --test FOLDER

Trains one small network twice, briefly: in a plain loop for squared error, and with `aeedge train` for rate and
distortion. Exports both, fits a prior to each on one thread, and codes photographs that neither has seen.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from record import RESULTS, goal, save
from torch import nn

from aeedge.evaluation.bdrate import compare_curves
from aeedge.machine import environment
from aeedge_runtime import Codec
from aeedge_runtime.images.psnr import psnr_db

QUALITIES = (1, 10, 25, 40, 55, 70, 85, 100)
SIDE, BATCH = 64, 32
TIMED = 30
"""Calls of each bundle that are timed, in turns."""

Pixels = NDArray[np.uint8]


class Net(nn.Module):
    """Three convolutions each way, stride 8, 32 latent channels."""

    def __init__(self, width: int = 64, latent: int = 32) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width // 2, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(width, latent, 5, 2, 2),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 3, 4, 2, 1),
        )


def read(folder: Path, most: int | None = None) -> list[Pixels]:
    """Return the images of a folder."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())[:most]]


def train_plainly(folder: Path, steps: int, out: Path) -> None:
    """Train for squared error and nothing else, as a user's own loop does."""
    torch.manual_seed(0)
    random, images, net = np.random.default_rng(0), read(folder), Net()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = [images[index] for index in random.integers(len(images), size=BATCH)]
        corners = [[random.integers(size - SIDE + 1) for size in image.shape[:2]] for image in chosen]
        crops = [
            image[top : top + SIDE, left : left + SIDE] for image, (top, left) in zip(chosen, corners, strict=True)
        ]
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        loss = (net.decoder(net.encoder(batch)) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(net.state_dict(), out)


def aeedge(*words: object) -> float:
    """Run a command on one thread; return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "aeedge", *map(str, words)], check=True, env=one_thread)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def curve(bundle: Path, images: Sequence[Pixels]) -> tuple[list[float], list[float]]:
    """Return mean bytes and PSNR of real streams at each quality."""
    codec = Codec.load(bundle, threads=1)
    sizes, decibels = [], []
    for quality in QUALITIES:
        streams = [codec.compress(image, quality, stored_tiles=False) for image in images]
        sizes.append(float(np.mean([len(stream) for stream in streams])))
        pairs = zip(images, streams, strict=True)
        decibels.append(float(np.mean([psnr_db(image, codec.decompress(stream)) for image, stream in pairs])))
    return sizes, decibels


def milliseconds(bundles: Sequence[Path], image: Pixels) -> list[dict[str, float]]:
    """Return median milliseconds of both directions for each bundle, one thread, in turns."""
    codecs = [Codec.load(bundle, threads=1) for bundle in bundles]
    times: list[list[tuple[float, float]]] = [[] for _ in codecs]
    for turn in range(TIMED + 2):
        for codec, found in zip(codecs, times, strict=True):
            start = time.perf_counter()
            stream = codec.compress(image, 50, stored_tiles=False)
            middle = time.perf_counter()
            codec.decompress(stream)
            if turn >= 2:  # the first calls open the graphs
                found.append((middle - start, time.perf_counter() - middle))
    medians = [np.median(found, axis=0) * 1e3 for found in times]
    return [{"compress_ms": round(float(one), 2), "decompress_ms": round(float(two), 2)} for one, two in medians]


def compare(before: Path, after: Path, test: Path) -> dict[str, Any]:
    """Return what a prior changes: bytes at equal PSNR, milliseconds and bytes of the bundle."""
    images = read(test, 20)
    old, new = curve(before, images), curve(after, images)
    low, high = max(min(old[1]), min(new[1])), min(max(old[1]), max(new[1]))
    found = compare_curves(new, old, (low, high), ("fitted", "before"))
    large = np.asarray(Image.fromarray(images[0]).resize((768, 512), Image.Resampling.LANCZOS))
    return {
        "percent_at_equal_psnr": round(found.percent or 0.0, 2),
        "psnr_range_db": [round(low, 2), round(high, 2)],
        "before": {"bytes": np.round(old[0]).tolist(), "psnr_db": np.round(old[1], 3).tolist()},
        "after": {"bytes": np.round(new[0]).tolist(), "psnr_db": np.round(new[1], 3).tolist()},
        "milliseconds_768x512": dict(zip(("before", "after"), milliseconds((before, after), large), strict=True)),
        "bundle_bytes": [sum(file.stat().st_size for file in bundle.rglob("*")) for bundle in (before, after)],
    }


def main() -> None:
    """Train, export, fit and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="photographs to train and fit on")
    parser.add_argument("--test", type=Path, required=True, help="others, to compare on")
    parser.add_argument("--plain-steps", type=int, default=2500)
    parser.add_argument("--rate-steps", type=int, default=1000)
    parser.add_argument("--fit-steps", type=int, nargs=2, metavar=("PLAIN", "RATE"), default=(800, 800))
    parser.add_argument("--out", type=Path, default=RESULTS / "own_networks.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    network, report = f"{__file__}:Net", {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights, run = folder / "plain.pt", folder / "run"
        train_plainly(chosen.train, chosen.plain_steps, weights)
        aeedge(
            *("train", network, "--data", chosen.train, "-o", run, "--max-steps", chosen.rate_steps),
            *("--set", f"training.batch_size={BATCH}", "--set", f"data.crop=[{SIDE},{SIDE}]"),
            *("--set", "training.precision=32-true"),
        )
        aeedge("export", network, "--weights", weights, "--data", chosen.train, "-o", folder / "plain")
        aeedge("export", run, "--model", network, "-o", folder / "rate")
        for kind, steps, least in (("plain", chosen.fit_steps[0], 45), ("rate", chosen.fit_steps[1], 30)):
            words = ("--data", chosen.train, "--steps", steps, "-o", folder / f"{kind}-fitted")
            seconds = aeedge("fit-prior", folder / kind, *words)
            report[kind] = compare(folder / kind, folder / f"{kind}-fitted", chosen.test)
            times = report[kind]["milliseconds_768x512"]
            slower = max(times["after"][way] - times["before"][way] for way in times["after"])
            report[kind]["cpu_seconds"] = round(seconds, 1)
            report[kind]["goals"] = [
                goal(f"{kind}: saved", -report[kind]["percent_at_equal_psnr"], least, "%", at_most=False),
                goal(f"{kind}: fitted in", seconds, 300, "CPU s", at_most=True),
                goal(f"{kind}: slower by", slower, 12, "ms", at_most=True),
            ]
    settings = {name: getattr(chosen, name) for name in ("plain_steps", "rate_steps", "fit_steps")}
    save(chosen.out, {"environment": environment(["benchmarks/own_networks.py"]), **settings, "networks": report})


if __name__ == "__main__":
    main()
