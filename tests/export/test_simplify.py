"""Graphs lose operations and compute the same."""

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from aeedge_export.simplify import ZERO, simplify
from aeedge_export.storage import narrow, widen
from aeedge_runtime.session import SessionOptions, open_session

IMAGE = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 8, 12, 3])
LATENT = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1, "channels", 4, 6])
WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 4, 4)).astype(np.float32)
PIXELS = np.random.default_rng(1).integers(0, 256, (1, 8, 12, 3)).astype(np.uint8)


def scalars(**values):
    return [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in values.items()]


def model(nodes, initializers, inputs=(IMAGE,), outputs=(LATENT,)):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def encoder(*scaling, constants=(), tied=False, weight=WEIGHT):
    """Pixels through operations `(operator, inputs)` on "x", then a padded convolution; `tied` to another user."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["x0"], to=TensorProto.FLOAT),
    ]
    for number, (operator, names) in enumerate(scaling):
        nodes.append(
            helper.make_node(operator, [f"x{number}" if name == "x" else name for name in names], [f"x{number + 1}"])
        )
    outputs = ["found"] if tied else ["latent"]
    nodes.append(helper.make_node("Conv", [f"x{len(scaling)}", "weight"], outputs, pads=[1] * 4, strides=[2, 2]))
    if tied:
        nodes.append(helper.make_node("ReduceMax", ["weight"], ["largest"]))
        nodes.append(helper.make_node("Mul", ["found", "largest"], ["latent"]))
    return model(nodes, [numpy_helper.from_array(weight, "weight"), *scalars(**dict(constants))])


def simplified(proto):
    found = onnx_ir.serde.deserialize_model(proto)
    simplify(found.graph)
    for number, node in enumerate(found.graph):
        for place, value in enumerate(node.outputs):
            value.name = value.name or f"value_{number}_{place}"
    made = onnx_ir.serde.serialize_model(found)
    onnx.checker.check_model(made, full_check=True)
    return made


def operators(proto):
    return [node.op_type for node in proto.graph.node]


def run(proto, **feeds):
    return open_session(proto.SerializeToString(), SessionOptions(threads=1), role="graph").run(feeds)[0]


SCALING = [
    pytest.param([("Div", ["x", "a"])], {"a": 255}, 0, id="div"),
    pytest.param([("Mul", ["a", "x"])], {"a": 1 / 64}, 0, id="mul"),
    pytest.param(
        [("Div", ["x", "a"]), ("Sub", ["x", "b"]), ("Mul", ["x", "c"])],
        {"a": 255, "b": 0.5, "c": 4},
        127.5,
        id="centre",
    ),
    pytest.param(
        [("Div", ["x", "a"]), ("Mul", ["x", "b"]), ("Add", ["x", "c"])], {"a": 255, "b": 2, "c": -1}, 127.5, id="signed"
    ),
]


@pytest.mark.parametrize(("scaling", "constants", "zero"), SCALING)
def test_factors_go_into_the_first_layer(scaling, constants, zero):
    plain = encoder(*scaling, constants=constants)
    made = simplified(plain)
    assert operators(made) == ["Transpose", "Cast", *(["Sub"] if zero else []), "Conv"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    assert set(tensors) == ({"weight", ZERO} if zero else {"weight"})
    assert tensors.get(ZERO, 0) == zero
    np.testing.assert_allclose(run(made, image=PIXELS), run(plain, image=PIXELS), atol=1e-5, rtol=0)


def test_weights_that_float16_holds_stay_and_are_multiplied_as_the_graph_is_opened():
    half = np.tile(WEIGHT.astype(np.float16).astype(np.float32), (12, 1, 1, 1))  # enough of them to be stored as such
    plain = encoder(("Div", ["x", "a"]), ("Sub", ["x", "b"]), constants={"a": 255, "b": 0.5}, weight=half)
    graph = onnx_ir.serde.deserialize_model(simplified(plain))
    narrow(graph)
    stored = onnx_ir.serde.serialize_model(graph)
    assert operators(stored) == ["Cast", "Transpose", "Cast", "Mul", "Sub", "Conv"]
    assert len(stored.SerializeToString()) < len(plain.SerializeToString()) - half.size
    np.testing.assert_allclose(run(stored, image=PIXELS), run(plain, image=PIXELS), atol=1e-4, rtol=0)
    wide = widen(stored)
    assert operators(wide) == ["Transpose", "Cast", "Sub", "Conv"]
    assert {tensor.name for tensor in wide.graph.initializer} == {"weight", ZERO}
    assert run(wide, image=PIXELS).tobytes() == run(stored, image=PIXELS).tobytes()


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(encoder(("Div", ["x", "a"]), constants={"a": 255}, tied=True), id="weights-with-a-second-use"),
        pytest.param(encoder(("Div", ["a", "x"]), constants={"a": 255}), id="reciprocal"),
        pytest.param(encoder(("Sub", ["a", "x"]), constants={"a": 255}), id="negative"),
        pytest.param(encoder(("Div", ["x", "a"]), ("Relu", ["x"]), constants={"a": 255}), id="relu-between"),
        pytest.param(encoder(("Mul", ["x", "x"])), id="square"),
        pytest.param(
            encoder(("Mul", ["x", "a"]), constants={"a": [[[1]], [[2]], [[3]]]}), id="a-factor-for-each-channel"
        ),
        pytest.param(encoder(("Sub", ["x", "a"]), constants={"a": 127}), id="no-factor"),
        pytest.param(encoder(("Mul", ["x", "a"]), constants={"a": 0}), id="zero"),
    ],
)
def test_anything_else_stays(plain):
    made = simplified(plain)
    assert operators(made) == operators(plain)
    assert run(made, image=PIXELS).tobytes() == run(plain, image=PIXELS).tobytes()


def decoder(operator, low, high):
    nodes = [
        helper.make_node(operator, ["latent"], ["open"]),
        helper.make_node("Reshape", ["open", "shape"], ["planes"]),
        helper.make_node("Clip", ["planes", "low", "high"], ["clipped"]),
        helper.make_node("Neg", ["clipped"], ["pixels"]),
    ]
    tensors = [numpy_helper.from_array(np.array([24, 4], np.int64), "shape"), *scalars(low=low, high=high)]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [24, 4])
    return model(nodes, tensors, [LATENT], [pixels])


def test_a_sigmoid_is_not_clipped_to_its_own_range():
    plain = decoder("Sigmoid", 0, 1)
    latent = np.linspace(-90, 90, 96, dtype=np.float32).reshape(1, 4, 4, 6)
    made = simplified(plain)
    assert operators(made) == ["Sigmoid", "Reshape", "Neg"]
    assert [tensor.name for tensor in made.graph.initializer] == ["shape"]
    np.testing.assert_allclose(run(made, latent=latent), run(plain, latent=latent), atol=1e-7, rtol=0)


@pytest.mark.parametrize(("operator", "low", "high"), [("Tanh", 0, 1), ("Sigmoid", 0, 0.5), ("Sigmoid", 0.25, 1)])
def test_other_clips_stay(operator, low, high):
    assert operators(simplified(decoder(operator, low, high))) == [operator, "Reshape", "Clip", "Neg"]
