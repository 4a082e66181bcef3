"""Removal of unnecessary operations: each would be one more pass over an image."""

import onnx_ir

from aeedge_export.graphs.fold_scaling import scale_first_layer, scale_last_layer
from aeedge_export.graphs.reorder import arrange
from aeedge_export.graphs.rewrite import before_ordering, bypass, scalar


def simplify(graph: onnx_ir.Graph) -> None:
    """Drop, merge or replace such operations, in place. Results stay the same but for the rounding of float32."""
    _drop_straight_through(graph)
    _drop_needless_clip(graph)
    scale_first_layer(graph)
    scale_last_layer(graph)
    arrange(graph)


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
        if node.op_type != "Clip" or [scalar(bound) for bound in node.inputs[1:]] != [0.0, 1.0]:
            continue
        source = before_ordering(node.inputs[0])
        producer = source.producer() if source is not None else None
        if producer is not None and producer.op_type == "Sigmoid":
            bypass(graph, node)
