"""What float16 and int8 cost and gain on photographs: time against float32, bytes at equal PSNR, size.

    python benchmarks/precision.py --calibrate FOLDER --data FOLDER [--limit N]

writes results/precision.json: the price that `aeedge export --precision` prints, over the images of --data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from record import RESULTS, save

from aeedge.evaluation.bdrate import compare_curves
from aeedge.evaluation.data import open_images
from aeedge.evaluation.evaluate import PSNR_RANGE
from aeedge.machine import environment
from aeedge_export.precision import variant
from aeedge_export.precision.cost import Price
from aeedge_export.precision.int8 import find_target
from aeedge_export.precision.request import Request
from aeedge_export.precision.variant import derive
from aeedge_runtime import Bundle

VARIANTS = {
    "fp16": Request("fp16", ("encoder", "decoder"), find_target(None)),
    "int8": Request("int8", ("encoder", "decoder"), find_target(None)),
    "int8 encoder": Request("int8", ("encoder",), find_target(None)),
    "int8 decoder": Request("int8", ("decoder",), find_target(None)),
}


def bd_rate(price: Price) -> float | None:
    """Bytes at equal PSNR over the range of the published BD-rates."""
    curves = [
        ([point[f"{side}_bytes"] for point in price.points], [point[f"{side}_psnr_db"] for point in price.points])
        for side in ("variant", "fp32")
    ]
    return compare_curves(curves[0], curves[1], PSNR_RANGE).percent


def main() -> None:
    """Derive, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibrate", type=Path, required=True, help="folder of photos to calibrate on")
    parser.add_argument("--data", type=Path, required=True, help="folder of photos that nothing was trained on")
    parser.add_argument("--bundle", default="photo")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--limit", type=int, default=variant.CHECKED, help="images of --data")
    parser.add_argument("--out", type=Path, default=RESULTS / "precision.json")
    chosen = parser.parse_args()
    bundle = Bundle.load(chosen.bundle)
    channels = bundle.manifest.image.channels
    calibration = [image.pixels for image in open_images(chosen.calibrate, channels, variant.CALIBRATION)]
    images = [image.pixels for image in open_images(chosen.data, channels, chosen.limit)]
    facts = environment(["precision.py", "--data", chosen.data.name, "--limit", str(chosen.limit)])  # no paths
    found: dict[str, Any] = {}
    for name in chosen.only:
        made = derive(bundle, VARIANTS[name], calibration, images, lambda line: print(f"  {line}", flush=True))
        print(name, *made.price.lines(), sep="\n  ", flush=True)
        published = {"range_db": PSNR_RANGE, "percent": bd_rate(made.price)}
        found[name] = {**made.price.as_dict(), "bd_rate": published, "parity": made.parity.as_dict()}
    target = find_target(None).name
    save(chosen.out, {"environment": facts, "images": len(images), "target": target, "variants": found})


if __name__ == "__main__":
    main()
