"""The photo codec against JPEG, WebP and AVIF on photographs: BD-rates, range of qualities, times, curves.

    python benchmarks/photo_codec.py --data FOLDER [--limit N]

writes results/photo_codec.json and .png (or what --out names); `aeedge eval photo --data FOLDER` gives the full report.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from record import RESULTS, goal, save

from aeedge.classic import choose_classics
from aeedge.cli.commands.eval import DEFAULT_QUALITIES as QUALITIES
from aeedge.evaluation.data import open_images
from aeedge.evaluation.evaluate import PSNR_RANGE, Evaluation, evaluate_images
from aeedge.evaluation.measure import Plan
from aeedge.evaluation.points import rates_and_psnr
from aeedge.evaluation.results import to_summary
from aeedge.evaluation.ssimulacra import is_installed
from aeedge_runtime import Codec
from aeedge_runtime.bundle.bundle import DEFAULT_BUNDLE
from aeedge_runtime.inference.processors import default_threads

GOALS = {"jpeg": -45.0, "webp4": -18.0}
"""BD-rate to reach, in percent."""

DECIBELS = (28.0, 38.0)
"""Mean PSNR that quality 1 must not exceed and quality 100 must reach."""


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos that nothing was trained on")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="another one is measured without goals")
    parser.add_argument("--against", default="jpeg,webp4,webp6,avif6,avif9")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--psnr-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of the BD-rates, in dB")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--out", type=Path, default=RESULTS / "photo_codec.json")
    chosen = parser.parse_args()

    codec = Codec.load(chosen.bundle, threads=chosen.threads)
    classics = choose_classics(chosen.against.split(","))
    plan = Plan(QUALITIES, classics, chosen.threads, ms_ssim=True, ssimulacra2=is_installed())
    images = open_images(chosen.data, 3, chosen.limit)
    span = tuple(chosen.psnr_range) if chosen.psnr_range else None
    evaluation = evaluate_images(codec, images, plan, span=span, jobs=1, place=chosen.data.name)
    summary = to_summary(evaluation)
    summary["environment"]["command"] = [Path(word).name for word in sys.argv]  # no paths of this machine
    goals = check(evaluation) if chosen.bundle == DEFAULT_BUNDLE and span is None else []
    save(chosen.out, {**summary, "goals": goals})
    draw(evaluation, chosen.out.with_suffix(".png"))


def check(evaluation: Evaluation) -> list[dict[str, object]]:
    """Compare with the goals."""
    _, psnr = rates_and_psnr(evaluation.ours)
    found = [
        goal("PSNR at quality 1", psnr[0], DECIBELS[0], "dB", at_most=True),
        goal("PSNR at quality 100", psnr[-1], DECIBELS[1], "dB", at_most=False),
    ]
    for rival in evaluation.rivals:
        percent = rival.psnr.percent
        if rival.curve.codec in GOALS and percent is not None:
            name = f"BD-rate against {rival.curve.title}, {PSNR_RANGE[0]} to {PSNR_RANGE[1]} dB"
            found.append(goal(name, percent, GOALS[rival.curve.codec], "%", at_most=True))
    return found


def draw(evaluation: Evaluation, path: Path) -> None:
    """Draw rate against PSNR."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for curve in (evaluation.ours, *(rival.curve for rival in evaluation.rivals)):
        rates, psnr = rates_and_psnr(curve)
        ours = curve is evaluation.ours
        axes.plot(rates, psnr, marker="o", markersize=3, linewidth=2.5 if ours else 1, label=curve.title)
    rates, psnr = rates_and_psnr(evaluation.ours)
    axes.set(xlim=(0, 1.05 * rates[-1]), ylim=(psnr[0] - 2, psnr[-1] + 1))  # what ours reaches, and some room
    axes.set(xlabel="bits per pixel, real files", ylabel="PSNR in dB, RGB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
