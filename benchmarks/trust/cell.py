"""One cell of symbols_everywhere.py: what the codec makes of bundles and streams under this interpreter, as JSON.

Runs with nothing but the runtime, NumPy, onnxruntime and Pillow: python cell.py BUNDLES STREAMS OUT
BUNDLES holds bundles with golden streams; STREAMS holds streams that others made, named by their bundle and a dot.
"""

from __future__ import annotations

import itertools
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from aeedge_runtime import Codec, load_picture
from aeedge_runtime.bundle.tables import read_array
from aeedge_runtime.coding import networks
from aeedge_runtime.entropy.chunk import hash_symbols
from aeedge_runtime.inference import session

THREADS = (1, 2, 4)
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL")
SLICES = (1, 1 << 19)  # pixels: every image and patch alone, or many in one run


def optimise(level: str) -> None:
    """Make sessions opened from now on use a graph optimisation level."""
    inner = onnxruntime.InferenceSession

    class Runtime:
        def __getattr__(self, name: str) -> Any:
            return getattr(onnxruntime, name)

        def InferenceSession(self, model: bytes, settings: Any = None, **options: Any) -> Any:  # noqa: N802
            settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
            return inner(model, settings, **options)

    session.load_backend = lambda: Runtime()


def golden(folder: Path, codec: Codec) -> dict[str, Any]:
    """How the golden streams of a bundle decode: symbols that differ, largest difference of a pixel."""
    wrong, largest = 0, 0
    paths = sorted((folder / "golden").glob("*.aee"))
    for path in paths:
        data = path.read_bytes()
        expected = read_array(path.with_suffix(".symbols.npy").read_bytes())
        found = codec.decompress_symbols(data)
        wrong += int(np.count_nonzero(found != expected)) if found.shape == expected.shape else len(expected)
        pixels = codec.decompress(data).astype(int)
        picture = load_picture(path.with_suffix(".decoded.png"), pixels.shape[2]).pixels
        largest = max(largest, int(abs(picture - pixels).max()))
    return {"streams": len(paths), "wrong_symbols": wrong, "pixel_difference": largest}


def foreign(folder: Path, codec: Codec) -> dict[str, int]:
    """Symbol hash of streams that other cells made."""
    return {
        path.name: hash_symbols(codec.decompress_symbols(path.read_bytes()))
        for path in sorted(folder.glob(f"{codec.bundle.manifest.name}.*.aee"))
    }


def compressed(folder: Path, codec: Codec) -> dict[str, str]:
    """Streams of the golden pictures, made here, in hexadecimal digits."""
    channels = codec.bundle.manifest.image.channels
    return {
        path.stem: codec.compress(load_picture(path, channels), 75).hex()
        for path in sorted((folder / "golden").glob("*.png"))
        if not path.stem.endswith(".decoded")
    }


def main() -> None:
    """Every combination of threads, optimisation level and slice size for every bundle."""
    bundles, streams, out = map(Path, sys.argv[1:4])
    results: dict[str, Any] = {}
    for folder in sorted(path.parent for path in bundles.glob("*/manifest.json")):
        settings = []
        for threads, level, slices in itertools.product(THREADS, LEVELS, SLICES):
            optimise(level)
            networks.SLICE_PIXELS = slices
            codec = Codec.load(folder, threads=threads)
            settings.append(
                {"threads": threads, "optimisation": level, "slice_pixels": slices, **golden(folder, codec)}
                | {"foreign": foreign(streams, codec), "compressed": compressed(folder, codec)}
            )
        results[folder.name] = settings
    versions = {"numpy": np.__version__, "onnxruntime": onnxruntime.__version__, "python": platform.python_version()}
    out.write_text(json.dumps({"machine": platform.machine(), "versions": versions, "bundles": results}))


if __name__ == "__main__":
    main()
