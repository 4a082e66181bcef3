"""Tiny ONNX files as converters write them: one convolution in each half, in several layouts and opsets."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHT = np.random.default_rng(0).normal(0, 0.1, (4, 3, 8, 8)).astype(np.float32)
TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def half(name, nodes, given, made, tensors, opset):
    graph = helper.make_graph(nodes, name, [given], made if isinstance(made, list) else [made], tensors)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
    onnx.checker.check_model(model)
    return model


def chain(steps):
    """Nodes in a row from `x` to `y`: (operator, constants, attributes)."""
    nodes, value = [], "x"
    for number, (operator, constants, attributes) in enumerate(steps):
        result = "y" if number == len(steps) - 1 else f"v{number}"
        nodes.append(helper.make_node(operator, [value, *constants], [result], **attributes))
        value = result
    return nodes


def encoder(*, last=False, whole_numbers=False, opset=17, side=None, batch="n"):
    """An encoder of stride 8; `side` fixes rows and columns."""
    steps = [("Cast", [], {"to": TensorProto.FLOAT}), ("Div", ["full"], {})] if whole_numbers else []
    steps += [("Transpose", [], {"perm": TO_FIRST})] if last else []
    steps += [("Conv", ["w"], {"strides": [8, 8]})]
    steps += [("Transpose", [], {"perm": TO_LAST})] if last else []
    rows, columns = (side, side) if side else ("h", "w")
    shape = [batch, rows, columns, 3] if last else [batch, 3, rows, columns]
    kind = TensorProto.UINT8 if whole_numbers else TensorProto.FLOAT
    tensors = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(np.float32(255), "full")]
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "a", "b", "c"])
    return half("encoder", chain(steps), helper.make_tensor_value_info("x", kind, shape), made, tensors, opset)


def decoder(*, last=False, whole_numbers=False, opset=17, side=None, batch="n"):
    """The decoder of `encoder`."""
    steps = [("Transpose", [], {"perm": TO_FIRST})] if last else []
    steps += [("ConvTranspose", ["w"], {"strides": [8, 8]})]
    steps += [("Mul", ["full"], {}), ("Clip", ["zero", "full"], {}), ("Round", [], {})] if whole_numbers else []
    steps += [("Cast", [], {"to": TensorProto.UINT8})] if whole_numbers else []
    steps += [("Transpose", [], {"perm": TO_LAST})] if last else []
    rows, columns = (side // 8, side // 8) if side else ("h", "w")
    shape = [batch, rows, columns, 4] if last else [batch, 4, rows, columns]
    tensors = [numpy_helper.from_array(WEIGHT, "w")]
    tensors += [numpy_helper.from_array(np.float32(value), name) for name, value in (("full", 255), ("zero", 0))]
    kind = TensorProto.UINT8 if whole_numbers else TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    return half(
        "decoder", chain(steps), given, helper.make_tensor_value_info("y", kind, ["n", "a", "b", "c"]), tensors, opset
    )


def pair(**options):
    """Both halves as bytes."""
    return encoder(**options).SerializeToString(), decoder(**options).SerializeToString()
