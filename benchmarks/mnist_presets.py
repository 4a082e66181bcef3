"""The MNIST presets on the real test set: error before and after compression, bytes, parity, latency.

python benchmarks/mnist_presets.py --data-dir DATA [--runs runs] [--only dense-mnist] [--out benchmarks/results/...]

Runs that are not in the runs folder are trained first with the preset's own schedule; those that are there are used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aeedge.presets import find_preset
from aeedge.training.config import RunConfig
from aeedge.training.data.datasets import open_dataset
from aeedge.training.loop import train
from aeedge.training.reporting.display import Display
from aeedge.training.run.folder import LoadedRun, load_run
from aeedge_export import export_run
from aeedge_runtime import Codec

STREAM_IMAGES = 1000
QUALITIES = (50, 90)
NEVER = 1e-4
"""A code unit that varies less than this over the test set is dead."""


@dataclass(frozen=True)
class Row:
    """Figures of one run. MSE is of pixels in 0..1; `float` means before quantisation of the latent."""

    run: str
    epochs: float
    mse_unclamped: float
    mse_float: float
    psnr_float_db: float
    dead_units: int
    units: int
    qualities: dict[str, dict[str, float]]
    pixels_off_by: float
    encode_ms: float
    decode_ms: float


def configs(data_dir: str) -> dict[str, RunConfig]:
    """Return run name -> config."""
    names = ("dense-mnist", "dense-mnist-deep", "linear-mnist", "vae-mnist", "vae-mnist-deep")
    found = {name: find_preset(name).config() for name in names}
    found = {name: replace(config, data=replace(config.data, data_dir=data_dir)) for name, config in found.items()}
    deep = found["dense-mnist-deep"]
    schedule = replace(deep.training.optimizer, schedule="cosine")
    longer = replace(deep.training, epochs=40, optimizer=schedule)
    found["dense-mnist-deep-40"] = replace(deep, training=longer)
    return found


def psnr(mse: float) -> float:
    """Return dB of a mean squared error of pixels in 0..1."""
    return float(-10 * np.log10(mse))


def difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the mean squared error of 8-bit images, in units of 0..1."""
    return float(np.square((first.astype(np.float64) - second) / 255).mean())


def latency_ms(work: Callable[[], Any], repeats: int = 30) -> float:
    """Return the median time of a call after a warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(name: str, run: LoadedRun, images: NDArray[np.uint8]) -> Row:
    """Export a run and measure it on uint8 images [N, 28, 28, 1]."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        latent = run.model.encode(pixels)
        decoded = run.model.decode(latent)
    shown = (decoded.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    units = latent.flatten(1)
    with tempfile.TemporaryDirectory() as folder:
        report = export_run(run.path, Path(folder) / "bundle")
        codec = Codec.load(Path(folder) / "bundle", device="cpu", threads=1)
        qualities = {str(quality): compressed(codec, images[:STREAM_IMAGES], quality) for quality in QUALITIES}
        data = codec.compress(images[0])
        encode_ms, decode_ms = latency_ms(lambda: codec.compress(images[0])), latency_ms(lambda: codec.decompress(data))
        parity = json.loads((Path(folder) / "bundle" / "parity.json").read_text())
    if not parity["passed"]:
        raise RuntimeError(f"{report.path}: the gate did not pass")
    pixel_checks = [check["measured"] for check in parity["checks"] if "pixel" in check["name"]]
    mse = difference(shown, images)
    return Row(
        run=name,
        epochs=run.summary["epochs"],
        mse_unclamped=float((decoded - pixels).square().mean()),
        mse_float=mse,
        psnr_float_db=psnr(mse),
        dead_units=int((units.std(0) < NEVER).sum()),
        units=units.shape[1],
        qualities=qualities,
        pixels_off_by=max(pixel_checks, default=float("nan")),
        encode_ms=encode_ms,
        decode_ms=decode_ms,
    )


def compressed(codec: Codec, images: NDArray[np.uint8], quality: int) -> dict[str, float]:
    """Return bytes per image and error of one stream of all images, restored from its bytes."""
    data = codec.compress_batch(images, quality=quality)
    mse = difference(np.asarray(codec.decompress_batch(data)).reshape(images.shape), images)
    return {"bytes_per_image": len(data) / len(images), "mse": mse, "psnr_db": psnr(mse)}


def main() -> None:
    """Measure every run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name, config in configs(options.data_dir).items():
        if options.only and name not in options.only:
            continue
        if not (options.runs / name / "config.json").exists():
            train(config, options.runs / name, reporter=Display())
        test = open_dataset(config.data, 1, "test")
        images = np.stack([test.image(index) for index in range(len(test))])
        rows.append(measure(name, load_run(options.runs / name), images))
        print(line(rows[-1]), flush=True)
    packages = {package: version(package) for package in ("torch", "onnxruntime", "numpy")}
    environment = {"machine": platform.machine(), "cpus": os.cpu_count(), "threads": options.threads, **packages}
    if options.out:
        report = {"schema": 1, "environment": environment, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(report, indent=2) + "\n")


def line(row: Row) -> str:
    """Return a row of the README's table."""
    rates = " | ".join(
        f"{row.qualities[str(q)]['bytes_per_image']:.1f} B, {row.qualities[str(q)]['psnr_db']:.2f} dB"
        for q in QUALITIES
    )
    return (
        f"| {row.run} | {row.mse_float:.4f} | {row.psnr_float_db:.2f} dB | {rates} | {row.dead_units} of {row.units} "
        f"| {row.encode_ms:.2f} / {row.decode_ms:.2f} ms |"
    )


if __name__ == "__main__":
    main()
