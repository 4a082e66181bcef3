"""The photo codec on one kind of image, before and after fine-tuning: contact sheets of small thumbnails.

    python benchmarks/fine_tuning.py --images FOLDER [--steps N] [--work FOLDER]

FOLDER holds train and test, each with folders of 32x32 pictures (CIFAR-10 as files). Makes sheets of 8x8 of them, goes
on from the weights that ship on the training sheets, exports, and measures both bundles on the test sheets, beside JPEG
and WebP; writes results/fine_tuning.json. About fifteen minutes on one core without matrix units. What it runs:

    aeedge train photo --from-pretrained --data SHEETS --out RUN --max-steps N
    aeedge export RUN -o BUNDLE
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from record import RESULTS, save

from aeedge.classic import choose_classics
from aeedge.evaluation.bdrate import compare_curves
from aeedge.evaluation.data import open_images
from aeedge.evaluation.evaluate import Evaluation, evaluate_images, shared_range
from aeedge.evaluation.measure import Plan
from aeedge.evaluation.points import rates_and_psnr
from aeedge.machine import environment
from aeedge_runtime import Codec

CELL, PER_ROW = 32, 8
QUALITIES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of train and test, of 32x32 pictures")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--work", type=Path, help="keep sheets, run and bundle here, and use what is there already")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="32-true", help="bf16-mixed on a CPU with AMX or a GPU")
    parser.add_argument("--out", type=Path, default=RESULTS / "fine_tuning.json")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = chosen.work or Path(scratch)
        sheets = {split: make_sheets(work / split, chosen.images / split) for split in ("train", "test")}
        minutes = fine_tune(work, chosen)
        before, after = (measure(bundle, work / "test", chosen.threads) for bundle in ("photo", work / "bundle"))
    report = {
        "environment": environment(["benchmarks/fine_tuning.py", "--images", "FOLDER", "--steps", str(chosen.steps)]),
        "steps": chosen.steps,
        "minutes": round(minutes, 1),
        "sheets": sheets,
        "bd_rate_percent": compared(before, after),
        "curves": {name: curve(found) for name, found in (("before", before), ("after", after))},
    }
    for name, percent in report["bd_rate_percent"].items():
        print(f"{name}: {percent}")
    save(chosen.out, report)


def make_sheets(folder: Path, images: Path) -> int:
    """Write sheets of 8x8 thumbnails of all kinds in turn, PNG, unless they are there; how many there are."""
    if not folder.exists():
        folder.mkdir(parents=True)
        paths = sorted(images.glob("*/*"), key=lambda path: (path.name, path.parent.name))
        for first in range(0, len(paths) - PER_ROW**2 + 1, PER_ROW**2):
            sheet_of(paths[first : first + PER_ROW**2]).save(folder / f"sheet-{first // PER_ROW**2:03}.png")
    return len(list(folder.glob("*.png")))


def sheet_of(paths: Sequence[Path]) -> Image.Image:
    """One sheet, 256x256, of 64 thumbnails."""
    sheet = Image.new("RGB", (CELL * PER_ROW, CELL * PER_ROW))
    for place, path in enumerate(paths):
        row, column = divmod(place, PER_ROW)
        with Image.open(path) as thumbnail:
            sheet.paste(thumbnail, (column * CELL, row * CELL))
    return sheet


def fine_tune(work: Path, chosen: argparse.Namespace) -> float:
    """Run the two commands, unless the bundle is there; the minutes that training took."""
    if (work / "bundle").exists():
        return 0.0
    started = time.monotonic()
    options = ["--max-steps", str(chosen.steps), "--threads", str(chosen.threads), "--learning-rate", "5e-4"]
    settings = [f"training.precision={chosen.precision}", f"training.validate_steps={chosen.steps}"]
    more = [word for setting in settings for word in ("--set", setting)]
    run = str(work / "run")
    aeedge("train", "photo", "--from-pretrained", "--data", str(work / "train"), "--out", run, *options, *more)
    minutes = (time.monotonic() - started) / 60
    aeedge("export", run, "-o", str(work / "bundle"))
    return minutes


def aeedge(*words: str) -> None:
    """Run a command of the package."""
    subprocess.run([sys.executable, "-m", "aeedge", *words], check=True)


def measure(bundle: str | Path, folder: Path, threads: int) -> Evaluation:
    """Evaluate a bundle on the test sheets."""
    plan = Plan(QUALITIES, choose_classics(["jpeg", "webp4"]), threads, ms_ssim=False)
    images = open_images(folder, 3, None)
    return evaluate_images(Codec.load(bundle, threads=threads), images, plan, span=None, jobs=1, place=folder.name)


def compared(before: Evaluation, after: Evaluation) -> dict[str, Any]:
    """BD-rates, each over the range of PSNR that both curves cover."""
    pairs = {"after against before": (after.ours, before.ours)}
    for name, found in (("before", before), ("after", after)):
        for rival in found.rivals:
            pairs[f"{name} against {rival.curve.title}"] = (found.ours, rival.curve)
    rates = {}
    for name, (ours, theirs) in pairs.items():
        span = shared_range(ours, theirs)
        if span is None:
            rates[name] = "no common range"
            continue
        difference = compare_curves(rates_and_psnr(ours), rates_and_psnr(theirs), span)
        rates[name] = {"percent": difference.percent, "from_db": round(span[0], 2), "to_db": round(span[1], 2)}
    return rates


def curve(found: Evaluation) -> list[dict[str, float]]:
    """Rate and PSNR by quality."""
    pairs = zip(*rates_and_psnr(found.ours), strict=True)
    return [{"bpp": round(rate, 4), "psnr_db": round(psnr, 2)} for rate, psnr in pairs]


if __name__ == "__main__":
    main()
