from dataclasses import replace

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from aeedge_export import export_bundle, export_source
from aeedge_export.graphs.half_storage import narrow, round_weights, widen
from aeedge_export.weights import with_float16_weights
from aeedge_runtime import Bundle, Codec
from aeedge_runtime.inference.session import SessionOptions, open_session

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:quality .* does not take more bytes"),
]

HALF = np.linspace(-1, 1, 40 * 32).astype(np.float16).astype(np.float32).reshape(32, 40)

"""Values that float16 holds."""


def layer(weights):
    """`y = x @ w + w[0]`, as bytes; the weight has two users."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [32, size]) for name, size in (("x", 32), ("y", 40))]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def narrowed(proto):
    model = onnx_ir.serde.deserialize_model(proto)
    narrow(model)
    return onnx_ir.serde.serialize_model(model)


def outputs(proto):
    inputs = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    return open_session(proto.SerializeToString(), SessionOptions(threads=1), role="graph").run({"x": inputs})[0]


def test_what_float16_holds_is_stored_in_it_and_computes_the_same():
    plain, stored = layer(HALF), narrowed(layer(HALF))
    onnx.checker.check_model(stored, full_check=True)
    assert [tensor.data_type for tensor in stored.graph.initializer] == [TensorProto.FLOAT16]
    assert len(stored.SerializeToString()) < len(plain.SerializeToString()) - 2400
    assert outputs(stored).tobytes() == outputs(plain).tobytes()


@pytest.mark.parametrize("value", [1 / 3, 70_000.0, 1e-9])
def test_what_float16_does_not_hold_stays(value):
    weights = HALF.copy()
    weights[3, 4] = value
    stored = narrowed(layer(weights))
    assert [tensor.data_type for tensor in stored.graph.initializer] == [TensorProto.FLOAT]
    np.testing.assert_array_equal(numpy_helper.to_array(stored.graph.initializer[0]), weights)


def test_small_weights_stay():
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    tensor = numpy_helper.from_array(np.ones(8, np.float32), "w")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [tensor])
    stored = narrowed(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]))
    assert [node.op_type for node in stored.graph.node] == ["Add"]


def test_widening_is_the_way_back():
    wide = widen(narrowed(layer(HALF)))
    assert [node.op_type for node in wide.graph.node] == ["MatMul", "Add"]
    assert [list(node.input) for node in wide.graph.node] == [["x", "w"], ["m", "w"]]
    np.testing.assert_array_equal(numpy_helper.to_array(wide.graph.initializer[0]), HALF)
    assert outputs(wide).tobytes() == outputs(layer(HALF)).tobytes()


@pytest.fixture(scope="module")
def full_and_half(source, tmp_path_factory):
    found, folder = source("hyperprior"), tmp_path_factory.mktemp("half")
    rounded = replace(found, model=with_float16_weights(found.model))
    return export_source(found, folder / "full"), export_source(rounded, folder / "half")


def test_rounded_weights_take_half_the_space(full_and_half, source):
    full, half = full_and_half
    assert half.files["encoder.onnx"] < 0.7 * full.files["encoder.onnx"]  # small layers and the graph itself stay
    assert half.stream_id != full.stream_id
    image = source("hyperprior").held_out[0]
    pixels = [Codec.load(bundle.path, threads=1) for bundle in full_and_half]
    restored = [codec.decompress(codec.compress(image, 90)).astype(float) for codec in pixels]
    assert np.abs(restored[0] - restored[1]).mean() < 1


def test_the_exact_prior_is_stored_in_half_by_itself(full_and_half):
    prior = onnx.load_from_string(Bundle.load(full_and_half[0].path).read("prior.onnx"))
    types = {tensor.name: tensor.data_type for tensor in prior.graph.initializer}
    assert types["scale_second.weight"] == TensorProto.FLOAT16
    assert types["mean_second.weight"] == TensorProto.FLOAT


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_variants_come_from_a_bundle_with_half_weights_too(full_and_half, source, tmp_path, monkeypatch, precision):
    from aeedge_export.precision import cost as price
    from aeedge_export.precision import variant

    monkeypatch.setattr(price, "TURNS", 3)
    monkeypatch.setattr(variant, "CHECKED", 2)
    monkeypatch.setattr(variant, "ERROR_LIMITS", {"encoder": 1.0, "decoder": 4.0})
    monkeypatch.setitem(price.LIMITS, "int8", price.Limits(4.0, 2.0, 0.9, 0.5))
    images = [*source("hyperprior").calibration, *source("hyperprior").held_out]
    report = export_bundle(full_and_half[1].path, tmp_path / "variant", images, precision=precision)
    assert report.stream_id == full_and_half[1].stream_id
    data = Bundle.load(report.path).read("encoder.onnx")
    smaller = {tensor.data_type for tensor in onnx.load_from_string(data).graph.initializer}
    assert (TensorProto.FLOAT16 if precision == "fp16" else TensorProto.INT8) in smaller


def test_weights_are_rounded_to_what_float16_holds_where_it_can():
    fine = (HALF + np.float32(1e-5)).astype(np.float32)
    rounded = onnx_ir.serde.deserialize_model(layer(fine))
    round_weights(rounded)
    assert np.array_equal(rounded.graph.initializers["w"].const_value.numpy(), fine.astype(np.float16))
    large = fine * np.float32(1e5)
    kept = onnx_ir.serde.deserialize_model(layer(large))
    round_weights(kept)
    assert np.array_equal(kept.graph.initializers["w"].const_value.numpy(), large)
