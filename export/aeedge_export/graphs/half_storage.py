"""Weights that float16 holds exactly are stored in it, and cast back to float32 when a graph is opened.

onnxruntime does the cast once, when it opens a session, so arithmetic, speed and every bit of the results are those of
float32; only the file is smaller. The exact layers of a prior always qualify, and whatever was rounded before export.
"""

import numpy as np
import onnx
import onnx_ir
from numpy.typing import NDArray
from onnx import numpy_helper

LEAST_VALUES = 512
"""Smaller tensors are left alone: a cast takes some hundred bytes itself."""

WIDE = "_float32"
"""Ends the name of what a cast gives."""


def narrow(model: onnx_ir.Model) -> None:
    """Store what float16 holds exactly in float16, in place."""
    graph = model.graph
    for name, value in sorted(graph.initializers.items()):
        array = value.const_value.numpy() if value.const_value is not None else np.zeros(0)
        if array.dtype != np.float32 or array.size < LEAST_VALUES or not fits_half(array.astype(np.float32)):
            continue
        halves = onnx_ir.Value(name=name, const_value=onnx_ir.tensor(array.astype(np.float16), name=name))
        cast = onnx_ir.node("Cast", [halves], {"to": onnx_ir.DataType.FLOAT}, name=f"Cast_{name}")
        cast.outputs[0].name = f"{name}{WIDE}"
        onnx_ir.convenience.replace_all_uses_with(value, cast.outputs[0])
        del graph.initializers[name]
        graph.register_initializer(halves)
        graph.insert_before(graph[0], cast)


def round_weights(model: onnx_ir.Model) -> None:
    """Round weights, of two dimensions and more, to what float16 holds, in place; what exceeds its range is left."""
    for name, value in model.graph.initializers.items():
        array = value.const_value.numpy() if value.const_value is not None else np.zeros(0)
        if array.dtype != np.float32 or array.ndim < 2 or array.size < LEAST_VALUES:
            continue
        if np.abs(array).max() <= np.finfo(np.float16).max:
            value.const_value = onnx_ir.tensor(array.astype(np.float16).astype(np.float32), name=name)


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with what is computed from weights alone as weights, for tools that look for them where used.

    That is what `narrow` left to be cast, and what `aeedge_export.graphs.simplify` left to be multiplied.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if not all(name in tensors for name in node.input):
            continue
        if node.op_type == "Cast" and node.output[0].endswith(WIDE):
            array = numpy_helper.to_array(tensors[node.input[0]]).astype(np.float32)
        elif node.op_type == "Mul":
            array = np.multiply(*(numpy_helper.to_array(tensors[name]) for name in node.input))
        else:
            continue
        tensor = tensors[node.input[0]]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        for user in graph.node:
            user.input[:] = [tensor.name if name == node.output[0] else name for name in user.input]
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    return wide


def fits_half(array: NDArray[np.float32]) -> bool:
    """Return whether float16 holds every value bit for bit."""
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32).tobytes() == array.tobytes()
