"""Small graph edits and queries, shared by the modules that simplify, scale and reorder."""

import math
from typing import Any, cast

import numpy as np
import onnx_ir

ORDERING = frozenset({"Transpose", "Reshape", "Flatten", "DepthToSpace"})
"""Operators that move values and do not change them."""


def scalar(value: onnx_ir.Value | None) -> float | None:
    """Return the number that a constant of one element holds, None for anything else."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    return float(stored(value).item())


def first_input(node: onnx_ir.Node) -> onnx_ir.Value:
    """Return what a node reads first, which all operators here must have."""
    return cast(onnx_ir.Value, node.inputs[0])


def stored(value: onnx_ir.Value) -> np.ndarray:
    """Return the values of a constant."""
    array: np.ndarray = cast(Any, value.const_value).numpy()
    return array


def only_input(node: onnx_ir.Node) -> onnx_ir.Value | None:
    """Return the input of a node that is no constant; None where there are several, or none."""
    found = [value for value in node.inputs if value is not None and value.const_value is None]
    return found[0] if len(found) == 1 else None


def before_ordering(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    """Return the value that operators which only move values made this one of."""
    while value is not None and (node := value.producer()) is not None and node.op_type in ORDERING:
        value = node.inputs[0]
    return value


def own_constant(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    """Return the constant that a layer's weights or bias are; None where they are computed or have other users.

    Weights that a graph multiplies by one number when it is opened count as constant.
    """
    if value is not None and (node := value.producer()) is not None and node.op_type == "Mul":
        value = node.inputs[0] if scalar(node.inputs[1]) is not None and len(value.uses()) == 1 else None
    if value is None or value.const_value is None or len(value.uses()) != 1:
        return None
    return value


def bypass(graph: onnx_ir.Graph, node: onnx_ir.Node) -> None:
    """Take out a node: its users read what it read first. Its constants go with it, but for those used elsewhere."""
    source = next(value for value in node.inputs if value is not None and value.const_value is None)
    onnx_ir.convenience.replace_all_uses_with(node.outputs[0], source)
    constants = [value for value in node.inputs if value is not None and value is not source]
    graph.remove(node, safe=True)
    drop_unused(graph, constants)


def drop_unused(graph: onnx_ir.Graph, constants: list[onnx_ir.Value]) -> None:
    """Remove those constants that no node reads."""
    for value in constants:
        if not value.uses():
            graph.initializers.pop(str(value.name), None)


def constant(graph: onnx_ir.Graph, name: str, number: np.ndarray | np.float32) -> onnx_ir.Value:
    """Add a constant; one of this name and these values is used again.

    Args:
        graph: gets it.
        name: ends in a number of its own where another constant has this name.
        number: its value.
    """
    wanted, place = np.asarray(number), 0
    while True:
        free = f"{name}_{place}" if place else name
        if (found := graph.initializers.get(free)) is None:
            made = onnx_ir.Value(name=free, const_value=onnx_ir.tensor(wanted, name=free))
            graph.register_initializer(made)
            return made
        if stored(found).dtype == wanted.dtype and np.array_equal(stored(found), wanted):
            return found
        place += 1


def set_constant(value: onnx_ir.Value, array: np.ndarray) -> None:
    """Give a constant other values."""
    value.const_value = onnx_ir.tensor(np.ascontiguousarray(array), name=value.name)


def is_one(node: onnx_ir.Node, *attributes: str) -> bool:
    """Return whether these attributes of a node are 1, as they are where they are missing."""
    found = (node.attributes.get(name) for name in attributes)
    return all(attribute is None or math.isclose(float(attribute.value), 1) for attribute in found)


def is_edge_pad(node: onnx_ir.Node) -> bool:
    """Return whether a node repeats the border of its input."""
    mode = node.attributes.get("mode")
    return node.op_type == "Pad" and mode is not None and mode.as_string() == "edge"


def is_unpadded(node: onnx_ir.Node) -> bool:
    """Return whether a node is a convolution that sees nothing but its input."""
    pads, automatic = node.attributes.get("pads"), node.attributes.get("auto_pad")
    explicit = automatic is None or automatic.as_string() == "NOTSET"
    return node.op_type == "Conv" and explicit and (pads is None or not any(pads.as_ints()))


def move_before(graph: onnx_ir.Graph, node: onnx_ir.Node, other: onnx_ir.Node) -> None:
    """Move a node whose first input is what `other` gives, or comes from it value by value, in front of `other`."""
    onnx_ir.convenience.replace_all_uses_with(node.outputs[0], first_input(node))
    graph.remove(node)
    node.replace_input_with(0, other.inputs[0])
    other.replace_input_with(0, node.outputs[0])
    graph.insert_before(other, node)
