from itertools import pairwise

import numpy as np
import onnx
from onnx import numpy_helper

from aeedge_runtime.inference.session import SessionOptions, open_session


def types_of(model):
    values = [*model.graph.input, *model.graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def graph_of(*widths, spread=100.0):
    """A chain of 1x1 convolutions with ReLUs whose inner channels differ widely in range."""
    rng = np.random.default_rng(0)
    nodes, tensors, name = [], [], "x"
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        scale = np.geomspace(1, spread, outputs)
        weight = rng.normal(0, 1, (outputs, inputs, 1, 1)) * scale[:, None, None, None] / inputs
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"w{place}"))
        tensors.append(numpy_helper.from_array(rng.normal(0, 0.1, outputs).astype(np.float32), f"b{place}"))
        nodes.append(
            onnx.helper.make_node("Conv", [name, f"w{place}", f"b{place}"], [f"c{place}"], name=f"Conv_{place}")
        )
        nodes.append(onnx.helper.make_node("Relu", [f"c{place}"], [f"r{place}"], name=f"Relu_{place}"))
        name = f"r{place}"
    nodes[-1].output[0] = "y"
    values = [
        onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["n", count, "h", "w"])
        for value, count in (("x", widths[0]), ("y", widths[-1]))
    ]
    graph = onnx.helper.make_graph(nodes, "graph", [values[0]], [values[1]], tensors)
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])


def outputs(model, feeds):
    session = open_session(model.SerializeToString(), SessionOptions(threads=1), role="graph")
    return [session.run(feed)[0].astype(np.float64) for feed in feeds]


def error_against(model):
    def error(changed, feeds):
        return float(np.sqrt(np.mean(np.square(np.subtract(outputs(changed, feeds), outputs(model, feeds))))))

    return error
