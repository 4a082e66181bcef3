import numpy as np
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_graphs import changed, model, operators, run, scalars

from aeedge_export.graphs.fold_scaling import FACTOR, LEAST, MOST, ZERO
from aeedge_export.graphs.half_storage import narrow, widen
from aeedge_export.graphs.simplify import simplify

"""Graphs lose operations and compute the same."""

IMAGE = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 8, 12, 3])

LATENT = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1, "channels", 4, 6])

WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 4, 4)).astype(np.float32)

PIXELS = np.random.default_rng(1).integers(0, 256, (1, 8, 12, 3)).astype(np.uint8)


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
    tensors = [numpy_helper.from_array(weight, "weight"), *scalars(**dict(constants))]
    return model(nodes, tensors, [IMAGE], [LATENT])


def simplified(proto):
    return changed(proto, simplify)


SCALING = [
    pytest.param([("Div", ["x", "a"])], {"a": 255}, 0, id="div"),
    pytest.param([("Mul", ["a", "x"])], {"a": 1 / 64}, 0, id="mul"),
    pytest.param(
        [("Div", ["x", "a"]), ("Sub", ["x", "b"]), ("Mul", ["x", "c"])],
        {"a": 255, "b": 0.5, "c": 4},
        127.5,
        id="center",
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


def repeating(pads):
    """Pixels less 1/2 through a Pad that repeats the border, then a convolution that pads with zeros as `pads` say."""
    plain = encoder(("Div", ["x", "a"]), ("Sub", ["x", "b"]), ("Pad", ["x", "edge"]), constants={"a": 255, "b": 0.5})
    border = np.array([0, 0, 1, 1, 0, 0, 1, 1]) * (1 - pads[0])
    plain.graph.initializer.append(numpy_helper.from_array(border, "edge"))
    plain.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "bias"))
    *_, pad, layer = plain.graph.node
    pad.attribute.append(helper.make_attribute("mode", "edge"))
    layer.input.append("bias")
    layer.attribute[0].CopyFrom(helper.make_attribute("pads", pads))
    return plain


@pytest.mark.parametrize(
    ("pads", "expected"),
    [([0] * 4, ["Transpose", "Pad", "Cast", "Conv"]), ([1] * 4, ["Transpose", "Pad", "Cast", "Sub", "Conv"])],
    ids=["valid", "zeros-too"],
)
def test_behind_a_repeated_border_a_shift_goes_into_the_bias(pads, expected):
    plain = repeating(pads)
    made = simplified(plain)
    assert operators(made) == expected
    np.testing.assert_allclose(run(made, image=PIXELS), run(plain, image=PIXELS), atol=1e-5, rtol=0)


def test_a_bias_of_the_first_layer_may_have_other_users():
    plain = encoder(("Div", ["x", "a"]), constants={"a": 255})
    plain.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "ones"))
    plain.graph.node[-1].input.append("ones")
    plain.graph.node[-1].output[0] = "found"
    plain.graph.node.append(helper.make_node("ReduceMax", ["ones"], ["largest"]))
    plain.graph.node.append(helper.make_node("Mul", ["found", "largest"], ["latent"]))
    made = simplified(plain)
    assert operators(made) == ["Transpose", "Cast", "Conv", "ReduceMax", "Mul"]
    np.testing.assert_allclose(run(made, image=PIXELS), run(plain, image=PIXELS), atol=1e-5, rtol=0)


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


PLANES, ROWS = ["batch", "channels", "height", "width"], ["batch", "values"]

LAST = np.random.default_rng(2).normal(size=(3, 4, 1, 1)).astype(np.float32) / 8

BIAS = np.linspace(-0.2, 0.3, 3, dtype=np.float32)

VALUES = np.random.default_rng(3).normal(size=(1, 4, 4, 6)).astype(np.float32)


def pixels(*tail, constants=(), weight=LAST, layer="Conv", bias=True, **attributes):
    """The last layer on "latent", then operations `(operator, inputs)` on "x", rounding and bytes."""
    inputs = ["latent", "weight", "bias"][: 2 + bias]
    nodes = [helper.make_node(layer, inputs, ["x0"], **attributes)]
    for number, (operator, names) in enumerate([*tail, ("Round", ["x"])]):
        given = [f"x{number}" if name == "x" else name for name in names]
        nodes.append(helper.make_node(operator, given, [f"x{number + 1}"]))
    nodes.append(helper.make_node("Cast", [f"x{len(tail) + 1}"], ["image"], to=TensorProto.UINT8))
    tensors = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(BIAS, "bias")][: 1 + bias]
    shape = PLANES if layer == "Conv" else ROWS
    latent = helper.make_tensor_value_info("latent", TensorProto.FLOAT, shape)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, shape)
    return model(nodes, [*tensors, *scalars(**dict(constants))], [latent], [image])


CLIP = ("Clip", ["x", "low", "high"])

UNIT = {"low": 0, "high": 1, "full": 255}

TAILS = [
    pytest.param([CLIP, ("Mul", ["x", "full"])], {}, id="scaled"),
    pytest.param(
        [("Div", ["x", "a"]), ("Add", ["x", "b"]), CLIP, ("Mul", ["full", "x"])], {"a": 4, "b": 0.5}, id="centered"
    ),
    pytest.param(
        [("Add", ["b", "x"]), ("Mul", ["x", "a"]), CLIP, ("Mul", ["x", "full"])], {"a": 0.5, "b": 1}, id="signed"
    ),
    pytest.param(
        [("Sub", ["x", "b"]), CLIP, ("Mul", ["x", "full"]), ("Add", ["x", "a"])], {"a": 0, "b": -0.5}, id="sub"
    ),
]


@pytest.mark.parametrize(("tail", "constants"), TAILS)
def test_the_last_layer_gives_values_of_pixels(tail, constants):
    plain = pixels(*tail, constants={**UNIT, **constants})
    made = simplified(plain)
    assert operators(made) == ["Conv", "Clip", "Round", "Cast"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    assert set(tensors) == {"weight", "bias", LEAST, MOST}
    assert (tensors[LEAST], tensors[MOST]) == (0, 255)
    expected, found = (run(proto, latent=VALUES).astype(int) for proto in (plain, made))
    assert np.count_nonzero(expected % 255) > 0
    assert np.abs(found - expected).max() <= 1  # where a value lies between two bytes
    assert np.count_nonzero(found != expected) <= 1


def test_a_fully_connected_last_layer_gives_them_too():
    weight = np.random.default_rng(4).normal(size=(3, 24)).astype(np.float32) / 9
    plain = pixels(CLIP, ("Mul", ["x", "full"]), constants=UNIT, weight=weight, layer="Gemm", transB=1)
    made = simplified(plain)
    assert operators(made) == ["Gemm", "Clip", "Round", "Cast"]
    values = VALUES.reshape(4, 24)
    assert np.count_nonzero(run(made, latent=values) != run(plain, latent=values)) <= 1


def test_last_weights_that_float16_holds_stay_too():
    half = np.tile(LAST.astype(np.float16).astype(np.float32), (1, 1, 7, 7))
    plain = pixels(CLIP, ("Mul", ["x", "full"]), constants=UNIT, weight=half, pads=[3] * 4)
    graph = onnx_ir.serde.deserialize_model(simplified(plain))
    narrow(graph)
    stored = onnx_ir.serde.serialize_model(graph)
    assert operators(stored) == ["Cast", "Mul", "Conv", "Clip", "Round", "Cast"]
    assert FACTOR in {tensor.name for tensor in stored.graph.initializer}
    assert operators(widen(stored)) == ["Conv", "Clip", "Round", "Cast"]
    found = run(stored, latent=VALUES)
    assert found.tobytes() == run(widen(stored), latent=VALUES).tobytes()
    assert np.count_nonzero(found != run(plain, latent=VALUES)) <= 1


KEPT = {**UNIT, "a": 2, "minus": -1}

FULL = ("Mul", ["x", "full"])


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(pixels(("Sigmoid", ["x"]), FULL, constants=KEPT), id="sigmoid"),
        pytest.param(pixels(CLIP, FULL, constants=KEPT, bias=False), id="no-bias"),
        pytest.param(pixels(CLIP, constants=KEPT), id="nothing-to-move"),
        pytest.param(pixels(CLIP, CLIP, FULL, constants=KEPT), id="two-clips"),
        pytest.param(pixels(("Clip", ["x", "low"]), FULL, constants=KEPT), id="half-a-clip"),
        pytest.param(pixels(("Mul", ["x", "minus"]), CLIP, FULL, constants=KEPT), id="negative"),
        pytest.param(pixels(("Div", ["a", "x"]), CLIP, FULL, constants=KEPT), id="reciprocal"),
        pytest.param(pixels(("Sub", ["a", "x"]), CLIP, FULL, constants=KEPT), id="from-a-constant"),
        pytest.param(pixels(("Max", ["x", "a"]), CLIP, FULL, constants=KEPT), id="another-operator"),
        pytest.param(pixels(("Mul", ["x", "x"]), CLIP, FULL, constants=KEPT), id="square"),
        pytest.param(
            pixels(CLIP, FULL, constants=KEPT, weight=LAST[:, :, 0, 0], layer="Gemm", transB=1, alpha=2.0), id="alpha"
        ),
        pytest.param(
            pixels(CLIP, FULL, constants={**KEPT, "full": [[[255]], [[254]], [[253]]]}), id="a-factor-for-each-channel"
        ),
    ],
)
def test_other_ends_stay(plain):
    assert operators(simplified(plain)) == operators(plain)


def test_a_last_layer_with_a_second_user_stays():
    plain = pixels(CLIP, FULL, constants=KEPT)
    plain.graph.node.append(helper.make_node("ReduceMax", ["x0"], ["largest"]))
    plain.graph.output.append(helper.make_tensor_value_info("largest", TensorProto.FLOAT, [1] * 4))
    assert operators(simplified(plain)) == operators(plain)


def test_floats_that_are_rounded_stay():
    plain = pixels(CLIP, FULL, constants=KEPT)
    plain.graph.node[-1].attribute[0].i = TensorProto.INT32
    plain.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    assert operators(simplified(plain)) == operators(plain)
