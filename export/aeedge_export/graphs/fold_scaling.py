"""The factors between pixels and a network, as part of its first and its last layer.

A graph takes and gives pixels in 0..255, and networks are trained on x / 255, often moved and stretched again. What is
a factor of it goes into the weights of the adjacent layer, or, where float16 holds those, into a product that ONNX
Runtime forms once, as it opens the graph. What is added before the first layer goes into its bias, too, if its padding
repeats the border; if it is zeros, one subtraction stays. What is added after the last layer goes into its bias.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx_ir

from aeedge_export.graphs.half_storage import fits_half
from aeedge_export.graphs.rewrite import (
    ORDERING,
    before_ordering,
    bypass,
    constant,
    drop_unused,
    is_edge_pad,
    is_one,
    is_unpadded,
    move_before,
    only_input,
    own_constant,
    scalar,
    set_constant,
    stored,
)

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators that are linear in their first input, with their weights as the second."""

ZERO, FACTOR = "pixel_zero", "pixel_factor"
"""Names of the constants that pixels are moved by, and that weights are multiplied by when the graph is opened."""

LEAST, MOST = "pixel_least", "pixel_most"
"""Names of the constants that what becomes a pixel is clipped to."""


def scale_first_layer(graph: onnx_ir.Graph) -> None:
    """Move the factors between pixels and the first layer into its weights; what is added becomes one subtraction.

    Nothing changes where something else is between, or where the weights have a second use.
    """
    cast = next((node for node in graph if node.op_type == "Cast" and _is_image(node.inputs[0])), None)
    if cast is None:
        return
    scaling: list[onnx_ir.Node] = []
    pad: onnx_ir.Node | None = None
    factor, shift, value = 1.0, 0.0, cast.outputs[0]  # so far the value is pixel * factor + shift
    while len(uses := list(value.uses())) == 1:
        node, place = uses[0].node, uses[0].idx
        if node.op_type in ORDERING and place == 0:
            value = node.outputs[0]
            continue
        if node.op_type in LAYERS:
            if place == 0 and factor != 1.0 and (weight := own_constant(node.inputs[1])) is not None:
                for done in scaling:
                    bypass(graph, done)
                if pad is not None and before_ordering(pad.inputs[0]) is pad.inputs[0]:
                    move_before(graph, pad, cast)
                moved = not shift or (is_unpadded(node) and _shift_bias(node, weight, shift))
                _scale(graph, node, weight, factor)
                if not moved:
                    _insert(graph, node, 0, "Sub", ZERO, -shift / factor)
            return
        if is_edge_pad(node) and place == 0:
            pad, value = node, node.outputs[0]
            continue
        if (step := _linear(node)) is None:
            return
        factor, shift = factor * step[0], shift * step[0] + step[1]
        scaling.append(node)
        value = node.outputs[0]


def scale_last_layer(graph: onnx_ir.Graph) -> None:
    """Let the last layer give values of 0 to 255: its weights take the factors that follow, its bias what is added.

    Nothing changes where something else is between, or where weights, bias or a value between have a second use.
    """
    rounding = next((node for node in graph if node.op_type == "Round" and _becomes_image(node)), None)
    if rounding is None:
        return
    found, value = _Tail(), rounding.inputs[0]
    while value is not None and (node := value.producer()) is not None and len(value.uses()) == 1:
        if node.op_type in ("Conv", "Gemm"):
            _move_into(graph, node, found)
            return
        if node.op_type not in ORDERING and not found.take(node):
            return
        value = only_input(node)


@dataclass
class _Tail:
    """What happens between the last layer and rounding: clip(value * factor + shift, least, most).

    Attributes:
        scaling: the nodes that do it, but for the clip.
        clip: the node that clips, None if nothing does.
    """

    factor: float = 1.0
    shift: float = 0.0
    least: float = 0.0
    most: float = 0.0
    scaling: list[onnx_ir.Node] = field(default_factory=list)
    clip: onnx_ir.Node | None = None

    def take(self, node: onnx_ir.Node) -> bool:
        """Put one operation before those so far; return whether it can be."""
        if node.op_type == "Clip":
            bounds = [scalar(bound) for bound in node.inputs[1:]]
            if self.clip is not None or len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
                return False
            self.clip = node
            self.least, self.most = (bound * self.factor + self.shift for bound in (bounds[0], bounds[1]))
            return True
        step = _linear(node)
        if step is None or step[0] < 0:  # that would turn the clip around
            return False
        self.factor, self.shift = self.factor * step[0], self.shift + self.factor * step[1]
        self.scaling.append(node)
        return True


def _linear(node: onnx_ir.Node) -> tuple[float, float] | None:
    """Factor, not zero, and shift of an operation with one number: value * factor + shift; None for anything else."""
    numbers = [scalar(value) for value in node.inputs]
    if len(numbers) != 2:
        return None
    number = numbers[1] if numbers[1] is not None or node.op_type in ("Div", "Sub") else numbers[0]
    if number is None:
        return None
    if node.op_type in ("Mul", "Div") and number:
        return (number if node.op_type == "Mul" else 1 / number), 0.0
    if node.op_type in ("Add", "Sub"):
        return 1.0, (number if node.op_type == "Add" else -number)
    return None


def _move_into(graph: onnx_ir.Graph, layer: onnx_ir.Node, tail: _Tail) -> None:
    """Move factor and shift into a layer that has weights and a bias of its own."""
    weight, bias = (own_constant(value) for value in (*layer.inputs[1:], None, None)[:2])
    if weight is None or bias is None or not tail.scaling or not is_one(layer, "alpha", "beta"):
        return
    for node in tail.scaling:
        bypass(graph, node)
    _scale(graph, layer, weight, tail.factor)
    shifted = stored(bias).astype(np.float64) * tail.factor + tail.shift
    set_constant(bias, shifted.astype(np.float32))
    if tail.clip is not None:
        replaced = [value for value in tail.clip.inputs[1:] if value is not None]
        for place, (name, bound) in enumerate(((LEAST, tail.least), (MOST, tail.most)), start=1):
            tail.clip.replace_input_with(place, constant(graph, name, np.float32(bound)))
        drop_unused(graph, replaced)


def _shift_bias(layer: onnx_ir.Node, weight: onnx_ir.Value, shift: float) -> bool:
    """Add to a convolution's bias what a shift of all that it reads gives; return whether it has one of its own."""
    bias = own_constant((*layer.inputs, None)[2])
    if bias is None:
        return False
    array = stored(weight).astype(np.float64)
    change = shift * array.sum(axis=tuple(range(1, array.ndim)))
    set_constant(bias, (stored(bias).astype(np.float64) + change).astype(np.float32))
    return True


def _scale(graph: onnx_ir.Graph, layer: onnx_ir.Node, weight: onnx_ir.Value, factor: float) -> None:
    """Multiply a layer's weights."""
    array = stored(weight)
    if fits_half(array):  # the product would not: it is left to whoever opens the graph
        _insert(graph, layer, 1, "Mul", FACTOR, factor)
    else:
        set_constant(weight, (array.astype(np.float64) * factor).astype(np.float32))


def _insert(graph: onnx_ir.Graph, layer: onnx_ir.Node, place: int, operator: str, name: str, number: float) -> None:
    """Put an operation with a constant between a layer and one of its inputs."""
    made = onnx_ir.node(operator, [layer.inputs[place], constant(graph, name, np.float32(number))])
    layer.replace_input_with(place, made.outputs[0])
    graph.insert_before(layer, made)


def _is_image(value: onnx_ir.Value | None) -> bool:
    value = before_ordering(value)
    return value is not None and value.is_graph_input() and value.dtype == onnx_ir.DataType.UINT8


def _becomes_image(rounding: onnx_ir.Node) -> bool:
    """Whether what is rounded here is what the graph gives, as uint8."""
    value, cast = rounding.outputs[0], False
    while not value.is_graph_output() and len(uses := list(value.uses())) == 1:
        node = uses[0].node
        if node.op_type not in (ORDERING if cast else {"Cast"}):
            return False
        value, cast = node.outputs[0], True
    return value.is_graph_output() and value.dtype == onnx_ir.DataType.UINT8
