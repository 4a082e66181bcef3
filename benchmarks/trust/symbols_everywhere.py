"""Same symbols everywhere: golden streams and streams from elsewhere under every cell of machines and versions.

Cells: this interpreter, the oldest supported onnxruntime and NumPy (installed into a folder), 64-bit Arm by emulation
(aarch64_root.sh); within each, threads x optimisation level x batch size. Each cell's own streams are decoded by every
other cell.

python benchmarks/trust/symbols_everywhere.py [--scratch FOLDER] [--without-arm] [--bundles FOLDER]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples import BUNDLES
from trials import finish, parser

HERE = Path(__file__).parent
RUNTIME = HERE.parents[1] / "runtime"
OLDEST = ("onnxruntime==1.30.*", "numpy==1.26.*", "pillow==12.1.*")


@dataclass(frozen=True)
class Cell:
    """A way to run Python.

    Attributes:
        name: for the report.
        command: the interpreter.
        packages: folder before the installed packages, or None.
    """

    name: str
    command: tuple[str, ...]
    packages: Path | None

    def run(self, bundles: Path, streams: Path, out: Path) -> dict[str, Any]:
        """Run cell.py and return what it wrote."""
        places = [str(place) for place in (self.packages, RUNTIME) if place]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
        words = [*self.command, str(HERE / "cell.py"), str(bundles), str(streams), str(out)]
        subprocess.run(words, env=environment, check=True, timeout=3600)
        found: dict[str, Any] = json.loads(out.read_bytes())
        return found


def cells(scratch: Path, arm: bool) -> list[Cell]:
    """Prepare the cells, and install what is missing below `scratch`."""
    found = [Cell("newest", (sys.executable,), None)]
    oldest = scratch / "oldest"
    if not oldest.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(oldest), *OLDEST], check=True)
    found.append(Cell("oldest", (sys.executable,), oldest))
    if arm:
        root = scratch / "arm"
        if not (root / "python" / "onnxruntime").exists():
            environment = os.environ | {"PYTHON": sys.executable}
            subprocess.run(["bash", str(HERE / "aarch64_root.sh"), str(root)], check=True, env=environment)
        emulator = (str(root / "qemu-aarch64-static"), "-cpu", "cortex-a72", "-L", str(root))
        found.append(Cell("aarch64", (*emulator, str(root / "usr/bin/python3.11")), root / "python"))
    return found


def expected_hashes(streams: Path) -> dict[str, int]:
    """Symbol hash that each stream carries."""
    return {path.name: int.from_bytes(path.read_bytes()[-8:-4], "little") for path in streams.glob("*.aee")}


def keep_streams(name: str, result: dict[str, Any], streams: Path) -> None:
    """Write what a cell compressed, each distinct stream once."""
    for bundle, settings in result["bundles"].items():
        for setting in settings:
            for picture, digits in setting["compressed"].items():
                data = bytes.fromhex(digits)
                (streams / f"{bundle}.{name}.{picture}.{zlib.crc32(data):08x}.aee").write_bytes(data)


def judge(result: dict[str, Any], hashes: dict[str, int]) -> dict[str, Any]:
    """Return counts of a cell."""
    settings = [(bundle, setting) for bundle, found in result["bundles"].items() for setting in found]
    wrong = sum(setting["wrong_symbols"] for _, setting in settings)
    largest = max(setting["pixel_difference"] for _, setting in settings)
    decoded = [(name, value) for _, setting in settings for name, value in setting["foreign"].items()]
    other = sum(hashes[name] != value for name, value in decoded)
    own = {(bundle, key, value) for bundle, setting in settings for key, value in setting["compressed"].items()}
    return {
        "machine": result["machine"],
        "versions": result["versions"],
        "settings": len(settings),
        "golden_decoded": sum(setting["streams"] for _, setting in settings),
        "wrong_symbols": wrong,
        "largest_pixel_difference": largest,
        "streams_of_all_cells_decoded": len(decoded),
        "other_symbols": other,
        "distinct_streams_compressed": len(own),
        "faults": wrong + other + (largest > 1) + (not decoded),
    }


def main() -> int:
    """Run every cell twice: to compress, and to decode what all of them compressed."""
    options = parser(__doc__, 0)
    options.add_argument("--scratch", type=Path, help="keeps what is installed [a temporary folder]")
    options.add_argument("--bundles", type=Path, default=BUNDLES, help="folder of bundles [the tiny ones]")
    options.add_argument("--without-arm", action="store_true")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        streams = Path(temporary) / "streams"
        streams.mkdir()
        chosen = cells(scratch.resolve(), not arguments.without_arm)
        for cell in chosen:
            keep_streams(cell.name, cell.run(arguments.bundles, streams, Path(temporary) / "out.json"), streams)
        hashes = expected_hashes(streams)
        facts = {
            cell.name: judge(cell.run(arguments.bundles, streams, Path(temporary) / "out.json"), hashes)
            for cell in chosen
        }
        shutil.rmtree(streams)
    return finish("symbols", {"streams": len(hashes), "cells": facts}, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
