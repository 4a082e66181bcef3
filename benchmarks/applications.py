"""Denoising, one-class anomaly scores and a better decoder for old streams, on MNIST's test images.

    python benchmarks/applications.py --data-dir DATA [--runs runs/applications] [--only denoising ...]

Runs that are not there are trained first; docs/applications.md holds the figures and the pictures.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mnist_runs import Pixels, mnist, preset_config, require_bundle, require_run, save_picture, save_results
from PIL import Image, ImageFilter

from aeedge.applications.anomaly import auroc, heat_map, squared_errors
from aeedge.applications.reconstruction import reconstruct
from aeedge.mosaic import mosaic
from aeedge.training.data.corruption import Corruption
from aeedge_export import decoder_start
from aeedge_runtime.images.psnr import psnr_db

DAMAGES = ("gaussian:0.3", "salt-pepper:0.1", "mask:0.5")
DENOISER_STEPS, DIGIT_STEPS, DECODER_STEPS = 4000, 800, 4000
QUALITIES = (5, 20, 50, 80, 95)
STREAM_IMAGES = 1000
SHOWN = 10


def damage(images: Pixels, kind: str) -> Pixels:
    """Return damaged copies of images, as 8-bit pixels, the same every time; training never draws this damage."""
    floats = images.astype(np.float32) / 255
    return np.rint(Corruption.parse(kind).apply(floats, seed=0, step=-2, first=0) * 255).astype(np.uint8)


def median(images: Pixels) -> Pixels:
    """Return images through a 3x3 median, what one would do without a model."""
    filtered = [np.asarray(Image.fromarray(image[..., 0]).filter(ImageFilter.MedianFilter(3))) for image in images]
    return np.stack(filtered)[..., None]


def denoising(data_dir: str, runs: Path, pictures: Path) -> dict[str, Any]:
    """Measure PSNR against the clean test images: damaged, through a median, through a plain and a trained model."""
    images, _ = mnist(data_dir, "test")
    plain = require_bundle(require_run(runs.parent / "dense-mnist", preset_config("dense-mnist", data_dir)))
    rows = []
    for kind in DAMAGES:
        config = preset_config("dense-mnist", data_dir, corrupt=kind, max_steps=DENOISER_STEPS)
        codec = require_bundle(require_run(runs / f"denoise-{kind.partition(':')[0]}", config))
        damaged = damage(images, kind)
        cleaned = reconstruct(codec, damaged)
        rows.append(
            {
                "damage": kind,
                "before_db": psnr_db(images, damaged),
                "median_db": psnr_db(images, median(damaged)),
                "plain_model_db": psnr_db(images, reconstruct(plain, damaged)),
                "after_db": psnr_db(images, cleaned),
            }
        )
        shown = np.concatenate([part[:SHOWN] for part in (damaged, cleaned, images)])
        save_picture(pictures / f"denoise-{kind.partition(':')[0]}.png", mosaic(shown, SHOWN, gap=2))
        print(rows[-1], flush=True)
    return {"images": len(images), "steps": DENOISER_STEPS, "rows": rows}


def one_class(data_dir: str, runs: Path, pictures: Path) -> dict[str, Any]:
    """Train a model on each digit, score all test digits with each."""
    images, digits = mnist(data_dir, "test")
    rows = []
    for digit in range(10):
        config = preset_config("dense-mnist", data_dir, max_steps=DIGIT_STEPS)
        config = replace(config, data=replace(config.data, only_label=digit, held_out_most=3000))
        codec = require_bundle(require_run(runs / f"one-class-{digit}", config))
        facts = codec.bundle.manifest.anomaly
        if facts is None:
            raise RuntimeError(f"{codec.bundle}: found no threshold of anomaly scores")
        restored = reconstruct(codec, images)
        scores = squared_errors(images, restored)
        normal, other = scores[digits == digit], scores[digits != digit]
        rows.append(
            {
                "digit": digit,
                "auroc": auroc(normal, other),
                "threshold": facts.threshold,
                "stated_false_positive_rate": facts.false_positive_rate,
                "calibrated_on": facts.images,
                "false_positive_rate": float((normal > facts.threshold).mean()),
                "detected": float((other > facts.threshold).mean()),
            }
        )
        print(rows[-1], flush=True)
        if digit == 3:
            chosen = [int(np.flatnonzero(digits == label)[0]) for label in range(10)]
            maps = [heat_map(images[index], restored[index]) for index in chosen]
            gray = [np.repeat(part[index], 3, axis=2) for part in (images, restored) for index in chosen]
            save_picture(pictures / "heat-maps.png", mosaic(np.stack([*gray, *maps]), 10, gap=2))
    mean = float(np.mean([row["auroc"] for row in rows]))
    print(f"mean AUROC {mean:.4f}")
    return {"images": len(images), "steps": DIGIT_STEPS, "mean_auroc": mean, "rows": rows}


def decoder_only(data_dir: str, runs: Path, _pictures: Path) -> dict[str, Any]:
    """Retrain a decoder on a frozen encoder, and decode the old bundle's streams with both."""
    config = preset_config("dense-mnist-deep", data_dir)
    first = require_run(runs.parent / "dense-mnist-deep", config)
    later = replace(config, training=replace(config.training, trainable="decoder", max_steps=DECODER_STEPS))
    old = require_bundle(first)
    start = decoder_start(first, first / "bundle.aeb")
    second = require_run(runs / "dense-mnist-deep-decoder", later, start.weights, start.tables)
    new = require_bundle(second)
    if old.bundle.stream_id != new.bundle.stream_id:
        raise RuntimeError(f"found the stream ids {old.bundle.stream_id.hex()} and {new.bundle.stream_id.hex()}")
    images = mnist(data_dir, "test", STREAM_IMAGES)[0]
    rows = []
    for quality in QUALITIES:
        stream = old.compress_batch(images, quality)
        decoded = [psnr_db(images, codec.decompress_batch(stream)) for codec in (old, new)]
        size = len(stream) / len(images)
        rows.append({"quality": quality, "bytes_per_image": size, "old_db": decoded[0], "new_db": decoded[1]})
        print(rows[-1], flush=True)
    return {"images": len(images), "steps": DECODER_STEPS, "stream_id": old.bundle.stream_id.hex(), "rows": rows}


SECTIONS: dict[str, Callable[[str, Path, Path], dict[str, Any]]] = {
    "denoising": denoising,
    "one-class": one_class,
    "decoder-only": decoder_only,
}


def main() -> None:
    """Measure the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/applications"))
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--pictures", type=Path, default=Path("docs/applications"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/applications.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only:
        print(name, flush=True)
        measured = SECTIONS[name](options.data_dir, options.runs, options.pictures)
        save_results(options.out, sys.argv, {name: measured})


if __name__ == "__main__":
    main()
