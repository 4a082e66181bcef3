"""Values in the order in which the next operation is fast: what a decoder does between and after its layers.

Results stay the same, but for the order in which float32 is added. Three things, as measured with ONNX Runtime's CPU
provider for `photo` at 768x512, where the layers alone take 46 ms on two cores (benchmarks/decoder_graph.py):

- Two DepthToSpace take 2.5 ms. Two transpositions of one axis each do the same for the first in 0.7.
- The second gives the pixels, in float32, before they are clipped and rounded. Transposing bytes takes 0.5 ms.
- Convolutions work on channels in blocks of 8 or 16, and so does the addition of a residual, which then is part of the
  convolution before it. A residual that no convolution made is in plain order: it and all sums after it cost two
  reorderings and a pass. A pooling of one value each costs one, and puts it into blocks.
"""

from typing import cast

import numpy as np
import onnx_ir

from aeedge_export.graphs.rewrite import (
    ORDERING,
    bypass,
    constant,
    first_input,
    only_input,
    own_constant,
    scalar,
    set_constant,
    stored,
)

ELEMENTWISE = frozenset({"Add", "Cast", "Clip", "Div", "LeakyRelu", "Mul", "Relu", "Round", "Sigmoid", "Sub", "Tanh"})
"""Operators that treat each value alike wherever it is, where what else they read is one number."""

CHANNELS_LAST = [0, 2, 3, 1]


def arrange(graph: onnx_ir.Graph) -> None:
    """Rearrange a decoder, in place; other graphs stay as they are."""
    if [output.dtype for output in graph.outputs] != [onnx_ir.DataType.UINT8]:
        return
    for node in list(graph):
        if node.op_type == "DepthToSpace" and (layer := _layer_before(node)) is not None:
            last = _layout_after(node)
            if last is None:
                _shuffle(graph, node, layer)
            else:
                _shuffle_pixels(graph, node, layer, last)
    _begin_residuals(graph)


def _shuffle(graph: onnx_ir.Graph, node: onnx_ir.Node, layer: onnx_ir.Node) -> None:
    """Replace [N, C*b*b, h, w] -> [N, C, h*b, w*b] by two transpositions: columns come together, then rows."""
    block, channels = _sort_channels(layer, node)
    source = first_input(node)
    build = _Builder(graph, node)
    columns = build("Mul", [build("Shape", [source], start=3, end=4), build.integers([block])])
    value = build("Reshape", [source, build.integers([0, block, block, -1])])
    value = build("Transpose", [value], perm=[0, 1, 3, 2])
    value = build("Reshape", [value, build("Concat", [build.integers([0, block, -1]), columns], axis=0)])
    value = build("Transpose", [value], perm=[0, 2, 1, 3])
    build.replace(node, build("Reshape", [value, build.integers([0, channels, -1, 0])]))


def _shuffle_pixels(graph: onnx_ir.Graph, node: onnx_ir.Node, layer: onnx_ir.Node, last: onnx_ir.Node) -> None:
    """Move the shuffle to the end, where values are bytes and the channels of a pixel go last anyway."""
    block, channels = _sort_channels(layer, node)
    bypass(graph, node)
    source = first_input(last)
    build = _Builder(graph, last)
    columns = build("Mul", [build("Shape", [source], start=3, end=4), build.integers([block])])
    value = build("Transpose", [source], perm=CHANNELS_LAST)
    value = build("Reshape", [value, build.integers([0, 0, 0, block, block * channels])])
    value = build("Transpose", [value], perm=[0, 1, 3, 2, 4])
    shape = build("Concat", [build.integers([0, -1]), columns, build.integers([channels])], axis=0)
    build.replace(last, build("Reshape", [value, shape]))


def _begin_residuals(graph: onnx_ir.Graph) -> None:
    """Put a pooling of one value each behind what no convolution made, where it is both convolved and added to."""
    moved = [node.outputs[0] for node in graph if node.op_type in ORDERING]
    for value in [*graph.inputs, *moved]:
        users = [use.node for use in value.uses() if use.idx == 0 or use.node.op_type == "Add"]
        if {"Conv", "Add"} - {user.op_type for user in users}:
            continue
        first = next(node for node in graph if node in users)
        pooled = onnx_ir.node("MaxPool", [value], {"kernel_shape": [1, 1]})
        pooled.outputs[0].shape, pooled.outputs[0].type = value.shape, value.type
        graph.insert_before(first, pooled)
        for user in users:
            for place, given in enumerate(user.inputs):
                if given is value:
                    user.replace_input_with(place, pooled.outputs[0])


def _layer_before(shuffle: onnx_ir.Node) -> onnx_ir.Node | None:
    """Return the convolution whose channels a shuffle turns into positions, if they can be reordered."""
    if not _is_torch_order(shuffle):
        return None
    value = shuffle.inputs[0]
    while value is not None and (node := value.producer()) is not None and len(value.uses()) == 1:
        if node.op_type == "Conv":
            group = node.attributes.get("group")
            own = all(own_constant(given) is not None for given in node.inputs[1:])
            return node if own and (group is None or group.as_int() == 1) else None
        if not _is_elementwise(node):
            return None
        value = only_input(node)
    return None


def _layout_after(shuffle: onnx_ir.Node) -> onnx_ir.Node | None:
    """Return the transposition that makes pixels of what is shuffled, if nothing between depends on positions."""
    value = shuffle.outputs[0]
    while len(uses := list(value.uses())) == 1:
        node = uses[0].node
        value = node.outputs[0]
        if node.op_type == "Transpose" and value.is_graph_output():
            return node if list(node.attributes["perm"].as_ints()) == CHANNELS_LAST else None
        if not _is_elementwise(node):
            return None
    return None


def _sort_channels(layer: onnx_ir.Node, shuffle: onnx_ir.Node) -> tuple[int, int]:
    """Order a layer's channels by row and column of the block instead of by channel first; return side and channels."""
    block, channels = shuffle.attributes["blocksize"].as_int(), 0
    for given in layer.inputs[1:]:
        value = cast(onnx_ir.Value, own_constant(given))
        array = stored(value)
        channels = len(array) // block**2
        set_constant(value, array.reshape(channels, block**2, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape))
    return block, channels


def _is_torch_order(shuffle: onnx_ir.Node) -> bool:
    """Whether channels go first, then rows and columns of the block, as in PixelShuffle."""
    mode = shuffle.attributes.get("mode")
    return mode is not None and mode.as_string() == "CRD"


def _is_elementwise(node: onnx_ir.Node) -> bool:
    if node.op_type not in ELEMENTWISE or only_input(node) is None:
        return False
    constants = [value for value in node.inputs if value is not None and value.const_value is not None]
    return all(scalar(value) is not None for value in constants)


class _Builder:
    """Makes nodes in front of one.

    Args:
        graph: gets them.
        before: the node that they come before.
    """

    def __init__(self, graph: onnx_ir.Graph, before: onnx_ir.Node) -> None:
        self._graph = graph
        self._before = before

    def __call__(self, operator: str, inputs: list[onnx_ir.Value], **attributes: int | list[int]) -> onnx_ir.Value:
        """Return the output of a new node."""
        node = onnx_ir.node(operator, inputs, attributes)
        self._graph.insert_before(self._before, node)
        return node.outputs[0]

    def integers(self, numbers: list[int]) -> onnx_ir.Value:
        """Return a constant of int64 that is used for sizes."""
        return constant(self._graph, "size", np.array(numbers, np.int64))

    def replace(self, node: onnx_ir.Node, value: onnx_ir.Value) -> None:
        """Give `value` to the users of a node, which goes."""
        onnx_ir.convenience.replace_nodes_and_values(self._graph, node, [node], [], [node.outputs[0]], [value])
