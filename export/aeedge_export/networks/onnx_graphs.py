"""Graphs of a bundle around graphs from elsewhere: uint8 pixels `[N, H, W, C]` in and out, latent `[N, c, h, w]`."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.compose
import onnx_ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aeedge_export.graphs.canonical import IR_VERSION, canonicalize
from aeedge_export.networks.geometry import Geometry
from aeedge_export.networks.onnx_half import OPSET, UINT8, OnnxHalf
from aeedge_export.networks.pixels import PixelRange

PREFIX = "network_"
"""Starts the names of what the graph from elsewhere holds, so that they do not meet ours."""

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
"""Axes for a Transpose that moves the channels."""


@dataclass
class _Chain:
    """Operators in a row.

    Attributes:
        value: name of the last result.
    """

    value: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, *constants: NDArray[Any] | np.generic, **attributes: Any) -> None:
        """Append an operator that takes the last result and some constants."""
        names = []
        for constant in constants:
            names.append(f"constant_{len(self.constants)}")
            self.constants.append(numpy_helper.from_array(np.asarray(constant), names[-1]))
        result = f"step_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.value, *names], [result], **attributes))
        self.value = result

    def include(self, half: OnnxHalf) -> None:
        """Append a whole graph."""
        graph = onnx.compose.add_prefix(half.proto, PREFIX).graph
        self.nodes.append(helper.make_node("Identity", [self.value], [PREFIX + half.input_name]))
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        self.value = PREFIX + half.output_name


def encoder_graph(half: OnnxHalf, facts: Geometry, pixels: PixelRange) -> onnx_ir.Model:
    """Return the canonical graph from pixels to latent."""
    chain = _Chain("image")
    if half.takes[0] != UINT8:
        low, span = _bounds(pixels)
        chain.add("Cast", to=TensorProto.FLOAT)
        chain.add("Mul", (span / 255).astype(np.float32))
        chain.add("Add", low.astype(np.float32))
    if not facts.image_last:
        chain.add("Transpose", perm=TO_FIRST)
    chain.include(half)
    if facts.patched:
        chain.add("Reshape", np.array([-1, facts.latent_channels, 1, 1], np.int64))
    elif facts.latent_last:
        chain.add("Transpose", perm=TO_FIRST)
    if facts.cell > 1:
        chain.add("SpaceToDepth", blocksize=facts.cell)
        plain = facts.latent_channels // facts.cell**2
        order = (
            np.arange(facts.latent_channels).reshape(facts.cell**2, plain).T.ravel()
        )  # as pixel_unshuffle orders them
        chain.add("Gather", order, axis=1)
    return _finished(chain, ("image", "latent"), facts)


def decoder_graph(half: OnnxHalf, facts: Geometry, pixels: PixelRange) -> onnx_ir.Model:
    """Return the canonical graph from latent to pixels."""
    chain = _Chain("latent")
    if facts.cell > 1:
        chain.add("DepthToSpace", blocksize=facts.cell, mode="CRD")
    if facts.patched:
        chain.add("Reshape", np.array([-1, *facts.patch_latent], np.int64))
    elif facts.latent_last:
        chain.add("Transpose", perm=TO_LAST)
    chain.include(half)
    if facts.patched and not facts.output_last:
        chain.add("Reshape", np.array([-1, facts.channels, *facts.stride], np.int64))
    if not facts.output_last:
        chain.add("Transpose", perm=TO_LAST)
    if half.gives != UINT8:
        low, span = _bounds(pixels)
        chain.add("Mul", (255 / span).astype(np.float32))
        chain.add("Add", (-low * 255 / span).astype(np.float32))
        chain.add("Clip", np.float32(0), np.float32(255))
        chain.add("Round")
        chain.add("Cast", to=TensorProto.UINT8)
    return _finished(chain, ("latent", "image"), facts)


def sorted_encoder(
    half: OnnxHalf, facts: Geometry, order: NDArray[np.int64], offset: NDArray[np.float32]
) -> onnx_ir.Model:
    """Return a bundle's encoder whose latent is sorted by `order`, `[c]`, and less `offset`, `[1, c, 1, 1]`."""
    chain = _Chain("image")
    chain.include(half)
    chain.add("Gather", order, axis=1)
    chain.add("Sub", offset)
    return _finished(chain, ("image", "latent"), facts)


def sorted_decoder(
    half: OnnxHalf, facts: Geometry, order: NDArray[np.int64], offset: NDArray[np.float32]
) -> onnx_ir.Model:
    """Return a bundle's decoder for the latent of `sorted_encoder`."""
    chain = _Chain("latent")
    chain.add("Add", offset)
    chain.add("Gather", np.argsort(order), axis=1)
    chain.include(half)
    return _finished(chain, ("latent", "image"), facts)


def _bounds(pixels: PixelRange) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return low and span, scalars or one per channel of `[N, H, W, C]`."""
    low, high = np.asarray(pixels.low, np.float64), np.asarray(pixels.high, np.float64)
    return low, high - low


def _finished(chain: _Chain, ends: tuple[str, str], facts: Geometry) -> onnx_ir.Model:
    rows, columns = facts.stride
    sizes: dict[str, list[Any]] = {
        "image": ["batch", rows, columns, facts.channels],
        "latent": ["batch", facts.latent_channels, 1, 1],
    }
    axes: dict[str, tuple[str | None, ...]] = dict.fromkeys(ends, ("batch", None, None, None))
    if not facts.patched:
        sizes["image"][1:3], sizes["latent"][2:4] = ["height", "width"], ["rows", "columns"]
        axes = {"image": ("batch", "height", "width", None), "latent": ("batch", None, "rows", "columns")}
    types = {"image": TensorProto.UINT8, "latent": TensorProto.FLOAT}
    given, made = (helper.make_tensor_value_info(name, types[name], sizes[name]) for name in ends)
    chain.nodes.append(helper.make_node("Identity", [chain.value], [ends[1]]))
    graph = helper.make_graph(chain.nodes, "graph", [given], [made], chain.constants)
    proto = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    onnx.checker.check_model(proto)
    model = onnx_ir.serde.deserialize_model(proto)
    onnx_ir.passes.common.IdentityEliminationPass()(model)
    return canonicalize(model, axes)
