"""Operations that a graph need not do: each would be one more pass over an image.

A graph takes pixels in 0..255 and networks are trained on x / 255, often moved and stretched again. What is a factor of
it goes into the weights of the first layer, or, where float16 holds those, into a product that ONNX Runtime forms once,
as it opens the graph.
"""

import numpy as np
import onnx_ir

from aeedge_export.storage import fits_half

ORDERING = frozenset({"Transpose", "Reshape", "Flatten"})
"""Operators that move values and do not change them."""

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators that are linear in their first input, with their weights as the second."""

ZERO, FACTOR = "pixel_zero", "pixel_factor"
"""Names of the constants that pixels are moved by, and that weights are multiplied by when the graph is opened."""


def simplify(graph: onnx_ir.Graph) -> None:
    """Drop or merge such operations, in place. Results stay the same but for the rounding of float32."""
    _drop_straight_through(graph)
    _drop_needless_clip(graph)
    _fold_scaling(graph)


def _drop_straight_through(graph: onnx_ir.Graph) -> None:
    """Replace v + (r - v) by r: the training-time gradient trick of rounding, exact but useless at run time."""
    for node in list(graph):
        if node.op_type != "Add":
            continue
        for value, difference in (node.inputs, node.inputs[::-1]):
            producer = difference.producer() if difference is not None else None
            if producer is None or producer.op_type != "Sub" or producer.inputs[1] is not value:
                continue
            rounded = producer.inputs[0]
            if rounded is None:
                continue
            onnx_ir.convenience.replace_all_uses_with(node.outputs[0], rounded)
            graph.remove(node, safe=True)
            if not producer.outputs[0].uses():
                graph.remove(producer, safe=True)
            break


def _drop_needless_clip(graph: onnx_ir.Graph) -> None:
    """Drop a clip to 0..1 of what a sigmoid gave."""
    for node in list(graph):
        if node.op_type != "Clip" or [_scalar(bound) for bound in node.inputs[1:]] != [0.0, 1.0]:
            continue
        source = _before_ordering(node.inputs[0])
        producer = source.producer() if source is not None else None
        if producer is not None and producer.op_type == "Sigmoid":
            _bypass(graph, node)


def _fold_scaling(graph: onnx_ir.Graph) -> None:
    """Move the factors between pixels and the first layer into its weights; what is added becomes one subtraction.

    Nothing changes where something else lies between, or where the weights have a second use.
    """
    cast = next((node for node in graph if node.op_type == "Cast" and _is_image(node.inputs[0])), None)
    if cast is None:
        return
    scaling: list[onnx_ir.Node] = []
    factor, shift, value = 1.0, 0.0, cast.outputs[0]  # so far the value is pixel * factor + shift
    while len(uses := list(value.uses())) == 1:
        node, place = uses[0].node, uses[0].idx
        if node.op_type in ORDERING and place == 0:
            value = node.outputs[0]
            continue
        constant = _scalar(node.inputs[1 - place]) if len(node.inputs) == 2 else None
        if constant is None or (place and node.op_type in ("Div", "Sub")):
            if node.op_type in LAYERS and place == 0 and factor != 1.0:
                _scale_weights(graph, scaling, node, factor, shift)
            return
        if node.op_type in ("Mul", "Div") and constant:
            gain = constant if node.op_type == "Mul" else 1 / constant
            factor, shift = factor * gain, shift * gain
        elif node.op_type in ("Add", "Sub"):
            shift += constant if node.op_type == "Add" else -constant
        else:
            return
        scaling.append(node)
        value = node.outputs[0]


def _scale_weights(
    graph: onnx_ir.Graph, scaling: list[onnx_ir.Node], layer: onnx_ir.Node, factor: float, shift: float
) -> None:
    """Put the factor of the nodes `scaling` into a layer's weights, and what they add into a subtraction before it."""
    weight = layer.inputs[1]
    if weight is None or weight.const_value is None or len(weight.uses()) != 1:
        return
    for node in scaling:
        _bypass(graph, node)
    array = weight.const_value.numpy()
    if fits_half(array):  # the product would not: it is left to whoever opens the graph
        _insert(graph, layer, 1, "Mul", FACTOR, factor)
    else:
        weight.const_value = onnx_ir.tensor((array.astype(np.float64) * factor).astype(np.float32), name=weight.name)
    if shift:
        _insert(graph, layer, 0, "Sub", ZERO, -shift / factor)


def _insert(graph: onnx_ir.Graph, layer: onnx_ir.Node, place: int, operator: str, name: str, number: float) -> None:
    """Put an operation with a constant between a layer and one of its inputs."""
    constant = onnx_ir.Value(name=name, const_value=onnx_ir.tensor(np.float32(number), name=name))
    graph.register_initializer(constant)
    made = onnx_ir.node(operator, [layer.inputs[place], constant])
    layer.replace_input_with(place, made.outputs[0])
    graph.insert_before(layer, made)


def _bypass(graph: onnx_ir.Graph, node: onnx_ir.Node) -> None:
    """Take out a node: its users read what it read first. Its constants go with it, but for those used elsewhere."""
    source = next(value for value in node.inputs if value is not None and value.const_value is None)
    onnx_ir.convenience.replace_all_uses_with(node.outputs[0], source)
    constants = [value for value in node.inputs if value is not None and value is not source]
    graph.remove(node, safe=True)
    for value in constants:
        if not value.uses():
            graph.initializers.pop(str(value.name), None)


def _is_image(value: onnx_ir.Value | None) -> bool:
    value = _before_ordering(value)
    return value is not None and value.is_graph_input() and value.dtype == onnx_ir.DataType.UINT8


def _before_ordering(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    """The value that operators which only move values made this one of."""
    while value is not None and (node := value.producer()) is not None and node.op_type in ORDERING:
        value = node.inputs[0]
    return value


def _scalar(value: onnx_ir.Value | None) -> float | None:
    """The number that a constant of one element holds."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    return float(value.const_value.numpy().item())
