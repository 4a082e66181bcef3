import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_graphs import changed, model, operators, run, scalars

from aeedge_export.graphs.simplify import simplify

LATENT = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1, "channels", 4, 6])


def simplified(proto):
    return changed(proto, simplify)


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
