"""Graphs of a few nodes, before and after a change: shared by the tests of what changes graphs."""

import numpy as np
import onnx
import onnx_ir
from onnx import helper, numpy_helper

from aeedge_runtime.inference.session import SessionOptions, open_session


def scalars(**values):
    """Constants of one number, or of several where a value is a list."""
    return [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in values.items()]


def model(nodes, initializers, inputs, outputs):
    """A model of one graph, in the opset that exports use."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def changed(proto, change):
    """The model after `change` to its graph, checked."""
    found = onnx_ir.serde.deserialize_model(proto)
    change(found.graph)
    for number, node in enumerate(found.graph):
        for place, value in enumerate(node.outputs):
            value.name = value.name or f"value_{number}_{place}"
    made = onnx_ir.serde.serialize_model(found)
    onnx.checker.check_model(made, full_check=True)
    return made


def operators(proto):
    """Kinds of nodes, in order."""
    return [node.op_type for node in proto.graph.node]


def run(proto, **feeds):
    """The first output."""
    return open_session(proto.SerializeToString(), SessionOptions(threads=1), role="graph").run(feeds)[0]
