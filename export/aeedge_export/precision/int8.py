"""Graphs with 8-bit weights and activations: calibrated on real images, channels equalized, sensitive layers in float.

The graph stays standard ONNX: QuantizeLinear and DequantizeLinear around layers that a runtime with 8-bit kernels
fuses, written by `onnxruntime.quantization`. Inputs and outputs keep their types.
"""

import contextlib
import logging
import platform
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from aeedge_export.errors import ExportError
from aeedge_export.precision.equalize import Feeds, equalize
from aeedge_runtime.errors import ArgumentError

OPERATORS = ("Conv", "Gemm", "MatMul")
"""Layers with 8-bit kernels in onnxruntime; ConvTranspose has none."""

LEAST_CHANNELS = 8
"""A layer that reads fewer stays in float: 8-bit kernels gain nothing on the three colors of an image."""

MOST_FLOAT = 0.5
"""Share of the layers that may stay in float; where more would have to, the graph is refused."""

_PREPROCESSED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Tells `quantize_static` that the graph needs no preparation, of which it warns otherwise."""


@dataclass(frozen=True)
class Target:
    """Requirements of the kernels of a processor.

    Attributes:
        name: as `--target` takes it.
        signed: activations from -128 rather than from 0.
        narrow: weights of 7 bits: without VNNI two products of 8 bits are added in 16, and saturate.
    """

    name: str
    signed: bool
    narrow: bool


TARGETS = {
    "x86-vnni": Target("x86-vnni", signed=False, narrow=False),
    "x86": Target("x86", signed=False, narrow=True),
    "arm64": Target("arm64", signed=True, narrow=False),
}


@dataclass(frozen=True)
class Quantized:
    """A quantized graph.

    Attributes:
        model: the graph.
        layers: names of the layers in 8 bits.
        kept: names of the layers that could be, but stay in float.
        error: against float32, in the unit of the limit.
    """

    model: onnx.ModelProto
    layers: tuple[str, ...]
    kept: tuple[str, ...]
    error: float


def find_target(name: str | None) -> Target:
    """Return the named target, or this machine's.

    Raises:
        ArgumentError: no such target.
    """
    if name is None:
        return TARGETS[_this_machine()]
    if name not in TARGETS:
        raise ArgumentError(f'target: found "{name}", expected {", ".join(TARGETS)}')
    return TARGETS[name]


def quantize(
    model: onnx.ModelProto,
    feeds: Feeds,
    few: Feeds,
    target: Target,
    error_of: Callable[[onnx.ModelProto, Feeds], float],
    limit: float,
) -> Quantized:
    """Quantize what can be; leave the layers that cost most in float until the error is within the limit.

    Every layer is once kept in float alone; the more the error falls by that, the earlier the layer is left out.

    Args:
        model: a float32 graph.
        feeds: real inputs to calibrate on.
        few: some of them, to rank the layers on: every layer takes a calibration of its own.
        target: the processor it is for.
        error_of: error of a graph against the float32 one on some inputs.
        limit: largest error.

    Raises:
        ExportError: the graph has no such layers, or more than half of them would have to stay in float.
    """
    layers = quantizable(model)
    if not layers:
        raise ExportError(f"the graph has no layer for 8 bits ({', '.join(OPERATORS)} from {LEAST_CHANNELS} channels)")

    def attempt(kept: Collection[str], inputs: Feeds = feeds) -> Quantized:
        chosen = [name for name in layers if name not in kept]
        graph = quantize_layers(model, chosen, inputs, target)
        return Quantized(graph, tuple(chosen), tuple(kept), error_of(graph, inputs))

    best = attempt(())
    if best.error <= limit or len(layers) == 1:
        return _accepted(best, limit)
    order = sorted(layers, key=lambda name: attempt((name,), few).error)
    for count in range(1, int(len(layers) * MOST_FLOAT) + 1):
        best = attempt(order[:count])
        if best.error <= limit:
            break
    return _accepted(best, limit)


def quantizable(model: onnx.ModelProto) -> list[str]:
    """Return the names of the layers that have 8-bit kernels and stored weights, in the order of the graph."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in OPERATORS and node.input[1] in shapes and min(shapes[node.input[1]][:2]) >= LEAST_CHANNELS
    ]


def quantize_layers(model: onnx.ModelProto, layers: Sequence[str], feeds: Feeds, target: Target) -> onnx.ModelProto:
    """Return a graph whose named layers are quantized, per channel of the weights."""
    prepared = equalize(model, layers, feeds)
    onnx.helper.set_model_props(prepared, dict([_PREPROCESSED]))
    relus = [node.name for node in prepared.graph.node if node.op_type == "Relu"]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "graph.onnx"
        quantize_static(
            prepared,
            path,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*OPERATORS, "Relu"],  # a ReLU between two layers becomes part of a scale
            nodes_to_quantize=[*layers, *relus],
            per_channel=True,
            reduce_range=target.narrow,
            activation_type=QuantType.QInt8 if target.signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out the inputs of a graph, one after the other."""

    def __init__(self, feeds: Feeds) -> None:
        self._rest: Iterator[Any] = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, or None."""
        feed = next(self._rest, None)
        return None if feed is None else dict(feed)


def _accepted(found: Quantized, limit: float) -> Quantized:
    if found.error <= limit:
        return found
    raise ExportError(
        f"8 bits cost too much: error {found.error:.3g} with {len(found.kept)} layers in float, at most {limit:g}; "
        "choose the other graph with --quantize, or --precision fp16"
    )


def _this_machine() -> str:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "arm64"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # another system: what every x86 can do
        return "x86"
    return "x86-vnni" if "avx512_vnni" in flags or "avx_vnni" in flags else "x86"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the quantizer logs about a graph that is as it should be; its errors still surface."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
