"""aeedge compared with what a user would pick instead: classic codecs, and CompressAI's networks, in one run.

python benchmarks/peers.py --images FILE... [--learned PYTHON] [--sizes 768x512,1920x1088] [--threads 1,2] [--quick]

Every engine runs in fresh processes, which take turns: encode to bytes, decode to pixels, without files. The classic
codecs work at the lowest quality whose PSNR reaches that of aeedge at quality 50. `--learned` names the interpreter of
an environment with `compressai`: its networks run on the CPU in PyTorch, with their own entropy coder. Without weights
from its servers they are random; time hardly depends on that, so bytes and PSNR are left out for them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, ROOT, save

from aeedge.benchmark.pictures import load_pictures
from aeedge.classic import available_classics, lowest_quality
from aeedge.machine import environment
from aeedge_runtime import Codec
from aeedge_runtime.bundle.bundle import DECODERS
from aeedge_runtime.images.psnr import psnr_db

WORKER = Path(__file__).parent / "peers_worker.py"

QUALITY = 50
LEARNED = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean")

TURNS, QUICK_TURNS = 3, 1
"""Processes of each engine, size and number of threads."""

FIGURES = ("encode_mp_s", "decode_mp_s", "peak_mb", "import_s")
"""Figures of an engine, the first two better when larger."""


def engines(pixels: np.ndarray, interpreter: str | None) -> list[dict[str, Any]]:
    """Return what runs on an image, with the settings that reach the PSNR of aeedge."""
    codec = Codec.load()
    stream = codec.compress(pixels, QUALITY, stored_tiles=False)
    reached = psnr_db(pixels, codec.decompress(stream))
    lite = f"{DECODERS['lite']}.onnx" in codec.bundle.manifest.files
    found: list[dict[str, Any]] = [{"name": "aeedge photo", "kind": "aeedge", "decoder": "full"}]
    found += [{"name": "aeedge photo, lite decoder", "kind": "aeedge", "decoder": "lite"}] if lite else []
    found += [{"name": "aeedge photo, preview at 1/8", "kind": "aeedge", "decoder": "preview"}]
    for classic in available_classics():
        quality = lowest_quality(classic, pixels[None], reached)
        found.append({"name": classic.title, "kind": "classic", "key": classic.key, "quality": quality})
    if interpreter:
        found += [{"name": f"CompressAI {name}", "kind": "compressai", "key": name} for name in LEARNED]
    return found


def run(engine: dict[str, Any], image: Path, threads: int, interpreter: str | None) -> dict[str, Any]:
    """Return the figures of one process of an engine; `error` where it cannot run."""
    python = interpreter if engine["kind"] == "compressai" and interpreter else sys.executable
    tree = os.pathsep.join(map(str, (ROOT, ROOT / "export", ROOT / "runtime")))
    variables = {**os.environ, "PYTHONPATH": tree, "OMP_NUM_THREADS": str(threads)}
    words = [python, os.fspath(WORKER), json.dumps(engine), os.fspath(image), str(threads)]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["ended without a word"])[-1]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of the figures of several processes."""
    whole = [one for one in runs if "error" not in one]
    if not whole:
        return dict(runs[0])
    return {
        key: round(statistics.median(one[key] for one in whole), 3) if whole[0][key] is not None else None
        for key in whole[0]
    }


def winners(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the best engine by figure, among those that give the whole picture."""
    whole = [row for row in rows if "error" not in row and "preview" not in row["engine"]]
    best = {}
    for figure in FIGURES:
        choose = max if figure.endswith("mp_s") else min
        best[figure] = choose(whole, key=lambda row: row[figure])["engine"]
    equal = [row for row in whole if row["bytes"] is not None and "lite" not in row["engine"]]
    return {**best, "bytes": min(equal, key=lambda row: row["bytes"])["engine"]}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table of one size and number of threads."""
    print(f"{'engine':36}{'encode MP/s':>12}{'decode MP/s':>12}{'bytes':>10}{'PSNR':>7}{'peak MB':>9}{'import s':>9}")
    for row in rows:
        if "error" in row:
            print(f"{row['engine']:36}  {row['error'][:80]}")
            continue
        size = f"{row['bytes']:,.0f}" if row["bytes"] is not None else "-"
        psnr = f"{row['psnr_db']:.1f}" if row["psnr_db"] is not None else "-"
        print(
            f"{row['engine']:36}{row['encode_mp_s']:12.2f}{row['decode_mp_s']:12.2f}{size:>10}{psnr:>7}"
            f"{row['peak_mb']:9.0f}{row['import_s']:9.2f}"
        )
    print("best: " + ", ".join(f"{figure} {name}" for figure, name in winners(rows).items()))


def main() -> None:
    """Measure, print, save; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="a photograph for each size, or one for all"
    )
    parser.add_argument("--sizes", default="768x512,1920x1088", help="columns x rows, cut from the center")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--learned", metavar="PYTHON", help="interpreter of an environment with compressai")
    parser.add_argument("--quick", action="store_true", help="one process of each, for a try")
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.json")
    chosen = parser.parse_args()
    turns = QUICK_TURNS if chosen.quick else TURNS
    pictures = load_pictures(chosen.images, 3)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, size in enumerate(chosen.sizes.split(",")):
            columns, rows = map(int, size.split("x"))
            pixels = center(pictures[min(number, len(pictures) - 1)], rows, columns)
            image = Path(folder) / f"{size}.npy"
            np.save(image, pixels)
            choice = engines(pixels, chosen.learned)
            for threads in map(int, chosen.threads.split(",")):
                runs: dict[str, list[dict[str, Any]]] = {engine["name"]: [] for engine in choice}
                for turn in range(turns):
                    for engine in choice if turn % 2 == 0 else reversed(choice):
                        runs[engine["name"]].append(run(engine, image, threads, chosen.learned))
                table = [{"engine": name, **middle(found)} for name, found in runs.items()]
                print(f"\n{size}, {threads} thread{'s' * (threads > 1)}", flush=True)
                show(table)
                results.append({"size": size, "threads": threads, "rows": table, "best": winners(table)})
    save(
        chosen.out,
        {
            "environment": environment([Path(word).name for word in sys.argv]),
            "quality": QUALITY,
            "turns": turns,
            "results": results,
        },
    )


def center(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the middle of an image, uint8 [rows, columns, 3]."""
    if pixels.shape[0] < rows or pixels.shape[1] < columns:
        raise SystemExit(f"an image of {pixels.shape[1]}x{pixels.shape[0]}, expected at least {columns}x{rows}")
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    return np.ascontiguousarray(pixels[top : top + rows, left : left + columns])


if __name__ == "__main__":
    main()
