"""A bundle in another precision: same latent space, same tables, same prior, and so the same stream id.

Encoder and decoder change; what decides how symbols are read (the prior, the tables) and the hyper-encoder stay as they
are, bit for bit. Streams of any variant decode with any other to the symbols that were written.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir
from numpy.typing import NDArray

from aeedge_export.checks.parity import Parity
from aeedge_export.draft import GRAPH_HALVES, Progress, belongs
from aeedge_export.golden import golden_files
from aeedge_export.graphs.canonical import IR_VERSION, manifest_bytes, zip_bytes
from aeedge_export.graphs.half_storage import narrow, round_weights, widen
from aeedge_export.precision.cost import GraphPrice, Price, check_rates, measure_rates, price_of, time_graphs
from aeedge_export.precision.equalize import Feeds
from aeedge_export.precision.float16 import halve
from aeedge_export.precision.int8 import Quantized, quantize
from aeedge_export.precision.request import Request
from aeedge_runtime._version import __version__
from aeedge_runtime.bundle.bundle import Bundle
from aeedge_runtime.bundle.manifest import HALVES
from aeedge_runtime.bundle.quantizer import dequantize, to_steps
from aeedge_runtime.codec import Codec
from aeedge_runtime.coding.tiling import cut_patches, pad_to_stride
from aeedge_runtime.errors import ArgumentError
from aeedge_runtime.inference.processors import default_threads
from aeedge_runtime.inference.session import SessionOptions, open_session

ERROR_LIMITS = {"encoder": 0.02, "decoder": 0.5}
"""Largest root mean square error of an 8-bit graph: of the latent in steps of ERROR_QUALITY, of pixels in 255ths.

An encoder's error falls on the few channels that carry most of the bytes. With all layers of an earlier photo encoder
in 8 bits it was 0.045 and cost 11.5 % of the bytes; with the layer that makes the latent in float it was 0.007 and cost
nothing that could be seen. 0.5 of 255 adds 1.5 % to the squared error of an image of 36 dB."""

ERROR_QUALITY = 70

FEED_QUALITIES = (20, 60, 95)
"""Latents that calibrate a decoder are quantized at these in turn: what it sees in use."""

SIDE = 256
"""Rows and columns, at most, of the images to calibrate on."""

PATCHES = 512
"""Patches of one run in a calibration."""

CALIBRATION, RANKING, CHECKED = 16, 4, 8
"""Images (runs of patches) to calibrate on, to rank layers on, and to measure the result on."""

PRICED_SIDE = 512
"""Rows and columns, at most, of the images the result is measured on."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Variant:
    """A bundle in another precision and what it showed.

    Attributes:
        files: name -> bytes of the whole bundle.
        parity: limits and what was measured against them; require it before anything is written.
        price: cost and gain on this machine.
    """

    files: Mapping[str, bytes]
    parity: Parity
    price: Price


def derive(
    bundle: Bundle, request: Request, calibration: Sequence[Pixels], held_out: Sequence[Pixels], say: Progress
) -> Variant:
    """Make a variant of a float32 bundle and measure it.

    Args:
        bundle: with both halves.
        request: precision and graphs.
        calibration: images uint8 `[H, W, C]` that ranges are taken from.
        held_out: images that cost and gain are measured on.
        say: called with one line per stage.

    Raises:
        ArgumentError: the bundle has a reduced precision already, lacks a half, or there are no images.
        ExportError: a graph cannot be quantized.
    """
    _check(bundle, calibration, held_out)
    feeds = Feeding(bundle, calibration)
    graphs = {}
    for role in request.graphs:
        say(f"{role}: to {request.precision}")
        graphs[role] = _convert(bundle, role, request, feeds.of(role))
    data = {f"{role}.onnx": _canonical(found.model, request.precision) for role, found in graphs.items()}
    codec = Codec.load(zip_bytes(_files(bundle, data, request)))
    images = [np.ascontiguousarray(image[:PRICED_SIDE, :PRICED_SIDE]) for image in held_out[:CHECKED]]
    say(f"measuring on {len(images)} images")
    points = measure_rates(Codec.load(bundle), codec, images)
    parity = check_rates(points, request.precision, images)
    data |= golden_files(codec, held_out)
    data["parity.json"] = (json.dumps(parity.as_dict(), indent=2) + "\n").encode()
    threads = default_threads()
    prices = [_price(bundle, role, graphs[role], data[f"{role}.onnx"], request, images[0]) for role in graphs]
    return Variant(_files(bundle, data, request), parity, price_of(points, prices, threads))


def half_of(files: Mapping[str, bytes], half: str) -> dict[str, bytes]:
    """Return the files of one half of a whole bundle."""
    values = json.loads(files["manifest.json"])
    values["halves"] = [half]
    kept = {name for name in values["files"] if _serves(name, half)}
    values["files"] = {name: facts for name, facts in values["files"].items() if name in kept}
    return {name: files[name] for name in kept} | {"manifest.json": manifest_bytes(values)}


class Feeding:
    """Inputs of the graphs of a bundle, from real images.

    Args:
        bundle: in float32.
        images: uint8 `[H, W, C]`; as many of them, or runs of patches, as are calibrated on.
        side: rows and columns of an image that are used, at most.
    """

    def __init__(self, bundle: Bundle, images: Sequence[Pixels], side: int = SIDE) -> None:
        facts = bundle.manifest.image
        padded = [pad_to_stride(image[None, :side, :side], facts.stride) for image in images]
        if facts.patched:
            patches = np.concatenate([cut_patches(image, facts.stride) for image in padded])
            padded = [patches[first : first + PATCHES] for first in range(0, len(patches), PATCHES)]
        self._bundle = bundle
        self._images = padded[:CALIBRATION]

    def of(self, role: str) -> list[dict[str, NDArray[Any]]]:
        """Return the inputs of "encoder" or "decoder"."""
        feeds = [{"image": image} for image in self._images]
        if role == "encoder":
            return feeds
        encoder = open_session(self._bundle.read("encoder.onnx"), SessionOptions(), role="encoder.onnx")
        return [{"latent": self._in_use(encoder.run(feed)[0], place)} for place, feed in enumerate(feeds)]

    def _in_use(self, latent: NDArray[np.float32], place: int) -> NDArray[np.float32]:
        """Quantized latents `[N, c, h, w]`, without shrink and predicted means, which move them by less than a step."""
        tables, turns = self._bundle.tables, (place + np.arange(len(latent))) % len(FEED_QUALITIES)
        step = tables.steps[np.array(FEED_QUALITIES)[turns] - 1][:, :, None, None]
        offset = tables.offsets[:, None, None]
        return dequantize(np.rint(to_steps(latent, step, offset)), step, offset, np.zeros(1, np.float32))


def _check(bundle: Bundle, calibration: Sequence[Pixels], held_out: Sequence[Pixels]) -> None:
    for half in ("encoder", "decoder"):
        bundle.require(half, "another precision")
    reduced = {role: value for role, value in bundle.manifest.precision.items() if value != "fp32"}
    if reduced:
        raise ArgumentError(
            f"{bundle} is {', '.join(f'{value} in its {role}' for role, value in reduced.items())}; "
            "start from the float32 bundle"
        )
    if not calibration or not held_out:
        raise ArgumentError("too few images, expected at least two: to calibrate with and to measure on")


def _convert(bundle: Bundle, role: str, request: Request, feeds: Feeds) -> Quantized:
    model = widen(onnx.load_from_string(bundle.read(f"{role}.onnx")))
    if request.precision == "fp16":
        return Quantized(halve(model), tuple(node.name for node in model.graph.node), (), 0.0)
    return quantize(model, feeds, feeds[:RANKING], request.target, _error_of(bundle, role, model), ERROR_LIMITS[role])


def _error_of(bundle: Bundle, role: str, model: onnx.ModelProto) -> Callable[[onnx.ModelProto, Feeds], float]:
    """Root mean square difference of the outputs from those of the float32 graph."""
    unit = bundle.tables.steps[ERROR_QUALITY - 1][:, None, None] if role == "encoder" else np.float32(1)

    def error(changed: onnx.ModelProto, feeds: Feeds) -> float:
        pairs = zip(_outputs(changed, feeds), _outputs(model, feeds), strict=True)
        return float(np.sqrt(np.mean([np.square((ours - theirs) / unit).mean() for ours, theirs in pairs])))

    return error


def _outputs(model: onnx.ModelProto, feeds: Feeds) -> list[NDArray[np.float64]]:
    session = open_session(model.SerializeToString(), SessionOptions(), role="graph")
    return [session.run(feed)[0].astype(np.float64) for feed in feeds]


def _canonical(model: onnx.ModelProto, precision: str) -> bytes:
    """Bytes of a graph without what its makers wrote about themselves; the properties of the bundle stay.

    What stays in float of an 8-bit graph is rounded to float16, which is far finer than the rest, and stored in it.
    """
    if precision == "int8":
        graph = onnx_ir.serde.deserialize_model(model)
        round_weights(graph)
        narrow(graph)
        model = onnx_ir.serde.serialize_model(graph)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "aeedge", ""
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith("aeedge.")}
    onnx.helper.set_model_props(model, dict(sorted({**kept, "aeedge.precision": precision}.items())))
    del model.graph.value_info[:]
    return bytes(model.SerializeToString(deterministic=True))


def _price(bundle: Bundle, role: str, found: Quantized, data: bytes, request: Request, image: Pixels) -> GraphPrice:
    reference = bundle.read(f"{role}.onnx")
    feed = Feeding(bundle, [image], PRICED_SIDE).of(role)[0]
    return GraphPrice(
        role=role,
        precision=request.precision,
        timing=time_graphs(reference, data, feed, SessionOptions()),
        fp32_bytes=len(reference),
        variant_bytes=len(data),
        layers=len(found.layers),
        kept=found.kept,
    )


def _serves(name: str, half: str) -> bool:
    role = name.removesuffix(".onnx")
    return half in GRAPH_HALVES[role] if role in GRAPH_HALVES else belongs(name, (half,))


def _files(bundle: Bundle, data: dict[str, bytes], request: Request) -> dict[str, bytes]:
    """All files of the variant: the bundle's, but for those in `data`, golden vectors and what it says of itself."""
    kept = (name for name in bundle.manifest.files if not name.startswith("golden/"))
    files: dict[str, bytes] = {name: bundle.read(name) for name in kept} | data
    values = json.loads(bundle.manifest_bytes)
    values["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in files.items()
    }
    values["created_by"] = f"aeedge {__version__}"
    values["precision"] = {role: request.precision if role in request.graphs else "fp32" for role in HALVES}
    return files | {"manifest.json": manifest_bytes(values)}
