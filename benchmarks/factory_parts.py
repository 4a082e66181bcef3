"""Anomaly scores on synthetic parts: aligned plates, turned plates and a texture, each with four kinds of defects.

python benchmarks/factory_parts.py [--steps 300]

Makes 512x512 gray images with masks, trains `gray` on the good ones, exports it, and compares `aeedge score
--reference` with the mean error of the reconstruction and with mean and spread of the pixels, no network at all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from record import RESULTS, save

from aeedge.applications.anomaly import auroc
from aeedge.applications.reference import smoothed
from aeedge.machine import environment

SIDE = 512
DEFECTS = ("scratch", "dent", "stain", "missing")
Pixels = NDArray[np.uint8]


def plate(random: np.random.Generator, turned: bool) -> Image.Image:
    """Return a brushed plate with holes, a little off its place, or anywhere."""
    grain = random.normal(0, 10, (SIDE, SIDE)).astype(np.float32)
    grain = np.asarray(Image.fromarray(grain, "F").resize((SIDE // 16, SIDE)).resize((SIDE, SIDE)))
    image = Image.fromarray(np.clip(40 + random.normal(0, 2, (SIDE, SIDE)), 0, 255).astype(np.uint8))
    metal = Image.fromarray(np.clip(150 + grain + random.normal(0, 2, (SIDE, SIDE)), 0, 255).astype(np.uint8))
    shape = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(shape)
    draw.rounded_rectangle((60, 100, 452, 412), 30, fill=255)
    for x, y, radius in (
        (120, 160, 28),
        (392, 160, 28),
        (120, 352, 28),
        (392, 352, 28),
        (200, 256, 45),
        (312, 256, 45),
    ):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    angle = random.uniform(0, 360) if turned else random.normal(0, 0.6)
    reach = 30 if turned else 3
    shape = shape.rotate(angle, Image.Resampling.BILINEAR, translate=tuple(random.uniform(-reach, reach, 2)))
    image.paste(metal.rotate(angle, Image.Resampling.BILINEAR), mask=shape)
    return image


def texture(random: np.random.Generator) -> Image.Image:
    """Return woven cloth, shifted at random."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + random.uniform(0, 20, (2, 1, 1))
    weave = 25 * np.sin(rows * 0.63) * np.sign(np.sin(columns * 0.31)) + 25 * np.sin(columns * 0.63)
    return Image.fromarray(np.clip(128 + weave + random.normal(0, 8, (SIDE, SIDE)), 0, 255).astype(np.uint8))


def damaged(image: Image.Image, kind: str, random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return an image with a defect, and its mask."""
    mask = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(mask)
    x, y = random.uniform(160, 350, 2)
    if kind == "scratch":
        angle, length = random.uniform(0, np.pi), random.uniform(50, 110)
        draw.line((x, y, x + length * np.cos(angle), y + length * np.sin(angle)), fill=255, width=2)
        return Image.composite(image.point(lambda value: min(value + 60, 255)), image, mask), mask
    radius = random.uniform(10, 22)
    draw.ellipse((x - radius, y - radius * 0.8, x + radius, y + radius * 0.8), fill=255)
    soft = mask.filter(ImageFilter.GaussianBlur(1 if kind == "missing" else 5))
    if kind == "missing":
        other = Image.new("L", (SIDE, SIDE), 40)
    else:
        other = image.point(lambda value: max(value - 35, 0) if kind == "dent" else max(value - 22, 0))
    return Image.composite(other, image, soft), mask


def make(folder: Path, kind: str, train: int, test: int) -> None:
    """Write a set in MVTec's layout."""
    random = np.random.default_rng(["aligned", "turned", "texture"].index(kind))

    def good() -> Image.Image:
        return texture(random) if kind == "texture" else plate(random, kind == "turned")

    for part, count in (("train/good", train), ("test/good", test)):
        (folder / part).mkdir(parents=True)
        for number in range(count):
            good().save(folder / part / f"{number:03}.png")
    for number in range(test):
        defect = DEFECTS[number % len(DEFECTS)]
        image, mask = damaged(good(), defect, random)
        for place, content in ((f"test/{defect}", image), (f"ground_truth/{defect}", mask)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            content.save(folder / place / f"{number:03}.png")


def aeedge(*words: object) -> str:
    """Run the command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "aeedge", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words[0]}: {done.stderr}")
    return done.stdout


def pixel_baseline(folder: Path) -> float:
    """Return the image AUROC of mean and spread of every pixel, without a network."""

    def maps(paths: Iterator[Path]) -> Iterator[NDArray[np.float32]]:
        for path in paths:
            yield smoothed(np.asarray(Image.open(path)).astype(np.float32))

    train = np.stack(list(maps(iter(sorted((folder / "train/good").iterdir())))))
    mean, spread = train.mean(0), train.std(0) + 1
    scores: dict[bool, list[float]] = {True: [], False: []}
    for path in sorted((folder / "test").rglob("*.png")):
        (found,) = maps(iter([path]))
        scores[path.parent.name == "good"].append(float(np.abs((found - mean) / spread).max()))
    return auroc(np.array(scores[True]), np.array(scores[False]))


def main() -> None:
    """Make the sets, train, score and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--train", type=int, default=120)
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--sets", nargs="*", default=["aligned", "turned", "texture"])
    parser.add_argument("--out", type=Path, default=RESULTS / "factory_parts.json")
    chosen = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in chosen.sets:
            folder = Path(name) / kind
            make(folder, kind, chosen.train, chosen.test)
            run, bundle = folder / "run", folder / "bundle"
            aeedge(
                *("train", "gray", "--data", folder / "train/good", "-o", run, "--max-steps", chosen.steps),
                *("--set", "data.held_out=0.2", "--set", "training.precision=32-true"),
                *("--set", "training.channels_last=false", "--set", "training.ema_decay=0.99"),
            )
            aeedge("export", run, "-o", bundle)
            words = ("score", bundle, folder / "test", "--normal", "good", "--json")
            plain = json.loads(aeedge(*words))["summary"]
            masks = ("--masks", folder / "ground_truth", "--false-positive-rate", 0.05)
            local = json.loads(aeedge(*words, "--reference", folder / "train/good", *masks))["summary"]
            report[kind] = {
                "auroc_mean_error": round(plain["auroc"], 4),
                "auroc_reference": round(local["auroc"], 4),
                "auroc_pixels_alone": round(pixel_baseline(folder), 4),
                "false_positives": local["false_positives"],
                "normal_images": local["normal_images"],
                "rate_bounds": [round(value, 4) for value in local["rate_bounds"]],
                "stated_rate": round(local["false_positive_rate"], 4),
                "pixel_auroc": round(local["pixel_auroc"], 4),
                "best_f1": round(local["best_f1"], 4),
            }
            print(kind, report[kind], flush=True)
    settings = {"steps": chosen.steps, "train": chosen.train, "test": chosen.test}
    save(chosen.out, {"environment": environment(["benchmarks/factory_parts.py"]), **settings, "sets": report})


if __name__ == "__main__":
    main()
