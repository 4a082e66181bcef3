import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_onnx as tiny
from onnx import TensorProto, helper, numpy_helper

from aeedge_export import ExportError, adapt_onnx
from aeedge_export.graphs.canonical import graph_bytes
from aeedge_runtime import ArgumentError, InputError

pytestmark = pytest.mark.torch

PIXELS = np.random.default_rng(1).integers(0, 256, (2, 16, 24, 3), np.uint8)
CONV = {"stride": (8, 8), "latent_channels": 4, "patched": False}


def reference(pixels):
    """Latent and image of the pair, computed by NumPy."""
    count, height, width, _ = pixels.shape
    patches = (pixels.astype(np.float64) / 255).reshape(count, height // 8, 8, width // 8, 8, 3)
    latent = np.einsum("nhawbc,kcab->nkhw", patches, tiny.WEIGHT)
    image = np.einsum("nkhw,kcab->nhawbc", latent, tiny.WEIGHT).reshape(pixels.shape)
    return latent, np.rint(np.clip(image, 0, 1) * 255)


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_layouts_types_and_opsets_give_the_same_codec(opset, last, whole_numbers):
    model = adapt_onnx(*tiny.pair(last=last, whole_numbers=whole_numbers, opset=opset))
    assert {name: getattr(model.config, name) for name in CONV} == CONV
    assert model.config.image_last is last
    graphs = {half: graph_bytes(graph, {}) for half, graph in model.graphs().items()}
    assert onnx.load_from_string(graphs["encoder"]).opset_import[0].version == 18
    latent, image = reference(PIXELS)
    (found,) = onnxruntime.InferenceSession(graphs["encoder"]).run(None, {"image": PIXELS})
    np.testing.assert_allclose(found, latent, atol=1e-5)
    (decoded,) = onnxruntime.InferenceSession(graphs["decoder"]).run(None, {"latent": found})
    np.testing.assert_allclose(decoded.astype(float), image, atol=1)


def test_a_fixed_size_and_batch_become_tiles():
    model = adapt_onnx(*tiny.pair(side=32, batch=1, opset=11))
    assert (model.config.patched, model.stride, model.latent_channels) == (True, (32, 32), 64)
    graph = graph_bytes(model.graphs()["encoder"], {})
    tiles = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), np.uint8)
    (latent,) = onnxruntime.InferenceSession(graph).run(None, {"image": tiles})
    np.testing.assert_allclose(latent.reshape(3, 4, 4, 4), reference(tiles)[0], atol=1e-5)


def test_declared_pixels_are_part_of_the_graphs():
    graphs = adapt_onnx(*tiny.pair(), pixels="signed").graphs()
    (latent,) = onnxruntime.InferenceSession(graph_bytes(graphs["encoder"], {})).run(None, {"image": PIXELS})
    shift = tiny.WEIGHT.sum(axis=(1, 2, 3))[:, None, None]
    np.testing.assert_allclose(latent, 2 * reference(PIXELS)[0] - shift, atol=1e-4)


def test_weights_in_a_file_beside_are_taken_and_from_elsewhere_are_not(tmp_path):
    onnx.save(tiny.encoder(), tmp_path / "e.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    adapt_onnx(tmp_path / "e.onnx", tiny.pair()[1])
    model = onnx.load(tmp_path / "e.onnx", load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../w.bin"
    (tmp_path / "f.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ExportError, match="expected in the file itself"):
        adapt_onnx(tmp_path / "f.onnx", tiny.pair()[1])


def changed(change):
    model = tiny.encoder()
    change(model)
    return model.SerializeToString()


def foreign(model):
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def random(model):
    model.graph.node.append(helper.make_node("RandomNormalLike", ["y"], ["noise"]))
    model.graph.node.append(helper.make_node("Add", ["y", "noise"], ["z"]))
    model.graph.output[0].name = "z"


def four_channels(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    del model.graph.initializer[0]
    model.graph.initializer.insert(0, numpy_helper.from_array(np.ones((4, 4, 8, 8), np.float32), "w"))


def old(model):
    model.opset_import[0].version = 9


def quantized(model):
    tensors = numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")
    model.graph.initializer.extend(tensors)
    model.graph.node.append(helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["q"]))
    model.graph.node.append(helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["z"]))
    model.graph.output[0].name = "z"


def half_precision(model):
    model.graph.node.append(helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT16))
    model.graph.output[0].name = "z"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def test_younger_operators_are_spelled_out_by_older_ones():
    model = tiny.encoder(opset=21)
    model.graph.node.append(helper.make_node("Gelu", ["y"], ["z"], approximate="tanh"))
    model.graph.output[0].name = "z"
    graph = graph_bytes(adapt_onnx(model.SerializeToString(), tiny.pair()[1]).graphs()["encoder"], {})
    (found,) = onnxruntime.InferenceSession(graph).run(None, {"image": PIXELS})
    latent = reference(PIXELS)[0]
    expected = latent / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (latent + 0.044715 * latent**3)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (foreign, ExportError, "com.microsoft.Conv"),
        (second_input, ExportError, "2 inputs"),
        (random, ExportError, "random numbers"),
        (four_channels, ExportError, "fails on every image"),
        (quantized, ExportError, "8 bits"),
        (half_precision, ExportError, "float16"),
        (old, ExportError, "opset 9"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_change(change, error, reason):
    with pytest.raises(error, match=reason):
        adapt_onnx(changed(change), tiny.pair()[1])


def test_halves_of_two_pairs_are_refused():
    with pytest.raises(ExportError, match="do not fit together"):
        adapt_onnx(tiny.pair()[0], tiny.pair(last=True)[0])


def test_no_onnx_file_is_an_input_error(tmp_path):
    (tmp_path / "e.onnx").write_bytes(b"no graph")
    for source in (tmp_path / "e.onnx", tmp_path / "none.onnx", b"no graph"):
        with pytest.raises(InputError):
            adapt_onnx(source, tiny.pair()[1])
    with pytest.raises(ArgumentError):
        adapt_onnx(*tiny.pair(), tile=(8, 8), whole=100)


def test_the_hash_is_of_content_and_not_of_names():
    renamed = tiny.encoder()
    renamed.graph.initializer[0].name = renamed.graph.node[0].input[1] = "other"
    hashes = [
        adapt_onnx(source, tiny.pair()[1]).encoder_hash() for source in (tiny.pair()[0], renamed.SerializeToString())
    ]
    assert hashes[0] == hashes[1]
    assert adapt_onnx(*tiny.pair(), pixels="signed").encoder_hash() != hashes[0]
