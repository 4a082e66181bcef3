"""Replay of a bundle's golden vectors on this machine: the same symbols exactly, the same pixels within 1."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle.bundle import Bundle, BundleSource
from .bundle.tables import read_array
from .codec import Codec
from .errors import AeedgeError, BundleError
from .images.load import load_picture
from .images.psnr import psnr_db
from .stream.info import stream_info

MAX_PIXEL_DIFFERENCE = 1
"""Largest difference allowed between float32 decoders of the same symbols."""

MAX_CHANGED_SHARE = 1e-4
"""Share of symbols that may differ, by 1, between two machines that compress the same image."""

MIN_REDUCED_PSNR_DB = 40.0
"""Least PSNR of a float16 or int8 decoder's pixels against the exported ones: kernels of another processor round
differently, and a value on the edge of an 8-bit level then moves by a whole level."""

MAX_REDUCED_CHANGED_SHARE = 0.02
"""Share of symbols that a float16 or int8 encoder may write differently than at export, by any amount."""

_STREAM = re.compile(r"golden/(?P<case>[^/]+)\.aee")


@dataclass(frozen=True)
class GoldenResult:
    """Result of one golden stream. A field is None if the bundle lacks the half or the file it needs.

    Attributes:
        name: of the golden case.
        quality: of its stream.
        symbols: symbols in it.
        symbols_equal: whether it decodes to exactly the exported symbols.
        pixel_difference: largest difference from the exported pixels.
        psnr_db: PSNR of the pixels against the exported ones in dB; None also where they are equal.
        changed_symbols: symbols that differ when its input is compressed here.
        symbol_difference: largest of these differences.
        compress_ms: time to compress the input.
        decompress_ms: time to decompress the stream.
        fault: what failed, or "".
    """

    name: str
    quality: int
    symbols: int
    symbols_equal: bool
    pixel_difference: int | None
    psnr_db: float | None
    changed_symbols: int | None
    symbol_difference: int | None
    compress_ms: float | None
    decompress_ms: float | None
    fault: str


@dataclass(frozen=True)
class Verification:
    """Outcome of `verify_bundle`.

    Attributes:
        passed: whether everything held.
        bundle: name of the bundle.
        stream_id: 16 hex digits.
        device: as requested.
        providers: execution provider that actually ran each graph.
        files: number of files whose hash was checked.
        golden: one entry per golden stream.
        faults: every failure, one line each.
    """

    passed: bool
    bundle: str
    stream_id: str
    device: str
    providers: Mapping[str, str]
    files: int
    golden: tuple[GoldenResult, ...]
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def verify_bundle(
    bundle: BundleSource | Bundle | None = None, device: str = "cpu", *, threads: int | None = None, tf32: bool = False
) -> Verification:
    """Check every file of a bundle and replay its golden vectors on a device.

    Args:
        bundle: as in `Codec.load`.
        device: as in `Codec.load`.
        threads: as in `Codec.load`.
        tf32: as in `Codec.load`.

    Raises:
        BundleError: a file is damaged or forged, or there are no golden vectors.
        ModelNotFoundError, DeviceError, ArgumentError: from `Codec.load`.
    """
    codec = Codec.load(bundle, device=device, threads=threads, tf32=tf32)
    manifest = codec.bundle.manifest
    cases = sorted(match["case"] for name in manifest.files if (match := _STREAM.fullmatch(name)))
    if not cases:
        raise BundleError(f"{codec.bundle} holds no golden streams; export it again")
    golden = tuple(_replay(codec, case) for case in cases)
    faults = [f"{result.name}: {result.fault}" for result in golden if result.fault]
    faults += _changed_too_much(golden, _is_reduced(codec, "encoder"))
    graphs = [name.removesuffix(".onnx") for name in manifest.files if name.endswith(".onnx")]
    return Verification(
        passed=not faults,
        bundle=manifest.name,
        stream_id=manifest.stream_id,
        device=device,
        providers={role: codec.provider(role) for role in sorted(graphs)},
        files=len(manifest.files),
        golden=golden,
        faults=tuple(faults),
    )


def _replay(codec: Codec, case: str) -> GoldenResult:
    bundle = codec.bundle
    stream = bundle.read(f"golden/{case}.aee")
    expected = _golden_symbols(bundle, case)
    quality = stream_info(stream).quality
    facts: dict[str, Any] = {"symbols_equal": False, "pixel_difference": None, "psnr_db": None}
    facts |= {"changed_symbols": None, "symbol_difference": None}
    facts |= {"compress_ms": None, "decompress_ms": None, "fault": ""}
    try:
        facts["symbols_equal"] = bool(np.array_equal(codec.decompress_symbols(stream), expected))
        if "decoder" in bundle.manifest.halves:
            facts |= _replay_decoder(codec, case, stream)
        if "encoder" in bundle.manifest.halves and f"golden/{case}.png" in bundle.manifest.files:
            facts |= _replay_encoder(codec, case, quality, expected)
    except AeedgeError as error:
        facts["fault"] = str(error)
    result = GoldenResult(name=case, quality=quality, symbols=len(expected), **facts)
    return result if result.fault else GoldenResult(**{**asdict(result), "fault": _fault(codec, result)})


def _is_reduced(codec: Codec, half: str) -> bool:
    return codec.bundle.manifest.precision[half] != "fp32"


def _replay_decoder(codec: Codec, case: str, stream: bytes) -> dict[str, Any]:
    codec.decompress_batch(stream)  # opens the sessions, so that the next call is timed without that
    start = time.perf_counter()
    pixels = codec.decompress_batch(stream)[0]
    elapsed = (time.perf_counter() - start) * 1e3
    name = f"golden/{case}.decoded.png"
    if name not in codec.bundle.manifest.files:
        return {"decompress_ms": elapsed}
    expected = load_picture(codec.bundle.read(name), pixels.shape[2]).pixels
    if expected.shape != pixels.shape:
        raise BundleError(f"{name} is {expected.shape}, the stream decodes to {pixels.shape}")
    difference = int(np.abs(expected.astype(np.int16) - pixels).max())
    decibels = psnr_db(expected, pixels) if difference else None
    return {"decompress_ms": elapsed, "pixel_difference": difference, "psnr_db": decibels}


def _replay_encoder(codec: Codec, case: str, quality: int, expected: NDArray[np.int16]) -> dict[str, Any]:
    picture = load_picture(codec.bundle.read(f"golden/{case}.png"), codec.bundle.manifest.image.channels)
    codec.compress(picture, quality, stored_tiles=False)
    start = time.perf_counter()
    stream = codec.compress(picture, quality, stored_tiles=False)
    elapsed = (time.perf_counter() - start) * 1e3
    found = codec.decompress_symbols(stream)
    if found.shape != expected.shape:
        raise BundleError(f"golden/{case}.png gives {len(found)} symbols, expected {len(expected)}")
    difference = np.abs(found.astype(np.int32) - expected)
    changed, largest = int(np.count_nonzero(difference)), int(difference.max())
    return {"compress_ms": elapsed, "changed_symbols": changed, "symbol_difference": largest}


def _golden_symbols(bundle: Bundle, case: str) -> NDArray[np.int16]:
    symbols = read_array(bundle.read(f"golden/{case}.symbols.npy"))
    if symbols.dtype != np.int16 or symbols.ndim != 1:
        raise BundleError(f"golden/{case}.symbols.npy is {symbols.dtype} {symbols.shape}, expected int16 [n]")
    return symbols


def _fault(codec: Codec, result: GoldenResult) -> str:
    if not result.symbols_equal:
        return "the stream decodes to other symbols than at export"
    if _is_reduced(codec, "decoder"):
        if result.psnr_db is not None and result.psnr_db < MIN_REDUCED_PSNR_DB:
            return f"pixels have {result.psnr_db:.1f} dB against the export's, {MIN_REDUCED_PSNR_DB:g} are needed"
    elif result.pixel_difference is not None and result.pixel_difference > MAX_PIXEL_DIFFERENCE:
        return f"pixels differ by {result.pixel_difference}, at most {MAX_PIXEL_DIFFERENCE} is allowed"
    if (result.symbol_difference or 0) > 1 and not _is_reduced(codec, "encoder"):
        return f"compressed symbols differ by {result.symbol_difference}, at most 1 is allowed"
    return ""


def _changed_too_much(golden: tuple[GoldenResult, ...], reduced: bool) -> list[str]:
    """Return a fault if too many symbols changed over all cases; a single small one cannot show 1 in 10,000."""
    measured = [result for result in golden if result.changed_symbols is not None]
    changed = sum(result.changed_symbols or 0 for result in measured)
    share = MAX_REDUCED_CHANGED_SHARE if reduced else MAX_CHANGED_SHARE
    allowed = max(1, int(share * sum(result.symbols for result in measured)))
    if changed <= allowed:
        return []
    return [f"{changed} compressed symbols differ from the export, at most {allowed} may"]
