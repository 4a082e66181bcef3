"""Times one engine on one image; `peers.py` runs it. Prints a JSON object on the last line.

Arguments: the engine as JSON, an .npy file of uint8 [H, W, 3], threads. Only NumPy is needed before the engine's own
imports, which are timed.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SECONDS, LEAST, MOST = 2.0, 3, 30
"""Time for the calls of one direction, about, and their number."""

Encode = Callable[[np.ndarray], Any]
Decode = Callable[[Any], np.ndarray]


def aeedge(engine: dict[str, Any], threads: int) -> tuple[Encode, Decode]:
    """Return the shipped photo codec with a decoder."""
    from aeedge_runtime import Codec

    preview = engine["decoder"] == "preview"
    codec = Codec.load(threads=threads, decoder="full" if preview else engine["decoder"])
    return lambda pixels: codec.compress(pixels, 50), codec.preview if preview else codec.decompress


def classic(engine: dict[str, Any], threads: int) -> tuple[Encode, Decode]:
    """Return a classic codec in Pillow."""
    from aeedge.classic import find_classic

    codec = find_classic(engine["key"])
    return lambda pixels: codec.encode(pixels, engine["quality"], threads), lambda data: codec.decode(data, 3)


def compressai(engine: dict[str, Any], threads: int) -> tuple[Encode, Decode]:
    """Return a network of CompressAI with random weights."""
    import torch
    from compressai.zoo import image_models

    torch.set_num_threads(threads)
    network = image_models[engine["key"]](quality=3, pretrained=False).eval()
    network.update(force=True)

    @torch.no_grad()
    def encode(pixels: np.ndarray) -> Any:
        rows, columns = (-(-size // 64) * 64 for size in pixels.shape[:2])
        padded = np.pad(pixels, ((0, rows - pixels.shape[0]), (0, columns - pixels.shape[1]), (0, 0)), mode="edge")
        return network.compress(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)

    @torch.no_grad()
    def decode(data: Any) -> np.ndarray:
        image = network.decompress(data["strings"], data["shape"])["x_hat"]
        return image.clamp(0, 1).mul(255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()

    return encode, decode


ENGINES = {"aeedge": aeedge, "classic": classic, "compressai": compressai}


def median_seconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, after one that warms up."""
    call()
    times: list[float] = []
    while len(times) < LEAST or (sum(times) < SECONDS and len(times) < MOST):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Time, and print."""
    engine, pixels, threads = json.loads(sys.argv[1]), np.load(sys.argv[2]), int(sys.argv[3])
    start = time.perf_counter()
    encode, decode = ENGINES[engine["kind"]](engine, threads)
    imported = time.perf_counter() - start
    data = encode(pixels)
    decoded = decode(data)
    weighted = engine["kind"] != "compressai"
    same = weighted and decoded.shape == pixels.shape
    error = float(np.square(decoded.astype(float) - pixels).mean()) if same else math.nan
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    figures = {
        "encode_mp_s": megapixels / median_seconds(lambda: encode(pixels)),
        "decode_mp_s": megapixels / median_seconds(lambda: decode(data)),
        "bytes": len(data) if weighted else None,
        "psnr_db": 10 * math.log10(255**2 / error) if same else None,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "import_s": imported,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
