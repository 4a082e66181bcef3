"""Decoders give the same pixels with their values in another order, and other graphs stay as they are."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_graphs import changed, model, operators, run, scalars

from aeedge_export.graphs.reorder import arrange

LATENT = helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["batch", 8, "rows", "columns"])
IMAGE = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
SIZES = [(1, 3, 5), (2, 4, 1), (3, 1, 2)]
"""Batch, rows and columns of latents."""


def conv(name, source, out, channels, made=None, group=1):
    """A layer whose weights are small integers, so that sums are exact in any order."""
    rng = np.random.default_rng(list(name.encode()))
    weight = rng.integers(-3, 4, (out, channels // group, 3, 3)).astype(np.float32)
    bias = rng.integers(-9, 10, out).astype(np.float32)
    node = helper.make_node("Conv", [source, f"{name}_w", f"{name}_b"], [made or name], pads=[1] * 4, group=group)
    return node, [numpy_helper.from_array(weight, f"{name}_w"), numpy_helper.from_array(bias, f"{name}_b")]


def shuffle(source, made, side, mode="CRD"):
    return helper.make_node("DepthToSpace", [source], [made], blocksize=side, mode=mode), []


def node(operator, source, made, *more, **attributes):
    return helper.make_node(operator, [source, *more], [made], **attributes), []


def decoder(*parts, last="pixels", perm=(0, 2, 3, 1), output=IMAGE):
    """`parts` on "latent", the last of which gives `last`, float32 [N, 3, H, W]; then bytes, channels last."""
    end = [
        node("Clip", last, "clipped", "zero", "most"),
        node("Round", "clipped", "rounded"),
        node("Cast", "rounded", "bytes", to=TensorProto.UINT8),
        node("Transpose", "bytes", "image", perm=perm),
    ]
    tensors = [*scalars(zero=0, most=255), *(tensor for _, found in parts for tensor in found)]
    return model([made for made, _ in (*parts, *end)], tensors, [LATENT], [output])


def arranged(proto):
    return changed(proto, arrange)


def pixels_of(proto, size):
    batch, rows, columns = size
    latent = np.random.default_rng(sum(size)).integers(-3, 4, (batch, 8, rows, columns)).astype(np.float32)
    return run(proto, latent=latent)


def assert_same(plain, made):
    for size in SIZES:
        expected, found = pixels_of(plain, size), pixels_of(made, size)
        assert 0 < np.count_nonzero(expected) < expected.size  # neither all black nor beyond the range
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("between", ["Relu", "Sigmoid", "LeakyRelu", "Tanh"])
def test_pixels_are_shuffled_as_bytes_with_what_lies_between(between):
    plain = decoder(conv("head", "latent", 3 * 16, 8), node(between, "head", "active"), shuffle("active", "pixels", 4))
    made = arranged(plain)
    kinds = operators(made)
    assert "DepthToSpace" not in kinds
    assert kinds.index("Cast") < kinds.index("Transpose")
    assert_same(plain, made)


def test_a_shuffle_between_layers_is_two_transpositions():
    plain = decoder(conv("up", "latent", 8 * 4, 8), shuffle("up", "wide", 2), conv("head", "wide", 3, 8, made="pixels"))
    made = arranged(plain)
    assert operators(made).count("Transpose") == 3
    assert "DepthToSpace" not in operators(made)
    assert_same(plain, made)


def test_both_shuffles_of_a_decoder():
    plain = decoder(
        conv("up", "latent", 8 * 9, 8),
        shuffle("up", "wide", 3),
        conv("head", "wide", 3 * 4, 8),
        shuffle("head", "pixels", 2),
    )
    made = arranged(plain)
    assert "DepthToSpace" not in operators(made)
    assert_same(plain, made)


def test_residuals_begin_in_blocks_of_channels():
    plain = decoder(
        conv("first", "latent", 8, 8),
        node("Add", "latent", "sum", "first"),
        conv("up", "sum", 8 * 4, 8),
        shuffle("up", "wide", 2),
        conv("second", "wide", 8, 8),
        node("Add", "second", "total", "wide"),
        conv("head", "total", 3, 8, made="pixels"),
    )
    made = arranged(plain)
    assert operators(made).count("MaxPool") == 2
    pooled = {name for found in made.graph.node if found.op_type == "MaxPool" for name in found.output}
    assert sum(bool(pooled & set(found.input)) for found in made.graph.node) == 4
    assert_same(plain, made)


def unchanged():
    head = conv("head", "latent", 3 * 4, 8)
    yield "without-a-residual", decoder(conv("first", "latent", 8, 8), conv("head", "first", 3, 8, made="pixels"))
    yield "added-only", decoder(node("Add", "latent", "twice", "latent"), conv("head", "twice", 3, 8, made="pixels"))
    yield "in-the-other-order", decoder(head, shuffle("head", "pixels", 2, mode="DCR"))
    grouped = conv("head", "latent", 12, 8, group=2)
    yield "channels-in-groups", decoder(grouped, shuffle("head", "pixels", 2))
    many = conv("first", "latent", 12, 8), node("Softmax", "first", "head", axis=1)
    yield "channels-that-depend-on-each-other", decoder(*many, shuffle("head", "pixels", 2))
    twice = head, node("ReduceMax", "head", "largest"), node("Div", "head", "relative", "largest")
    yield "channels-with-a-second-use", decoder(*twice, shuffle("relative", "pixels", 2))
    weight = node("ReduceMax", "head_w", "heaviest"), node("Mul", "head", "scaled", "heaviest")
    yield "weights-with-a-second-use", decoder(head, *weight, shuffle("scaled", "pixels", 2))


@pytest.mark.parametrize("plain", [pytest.param(plain, id=name) for name, plain in unchanged()])
def test_anything_else_stays(plain):
    assert operators(arranged(plain)) == operators(plain)
    assert pixels_of(plain, SIZES[0]).dtype == np.uint8


def test_graphs_that_give_no_pixels_stay():
    output = helper.make_tensor_value_info("wide", TensorProto.FLOAT, ["batch", 2, "height", "width"])
    parts = conv("up", "latent", 8, 8), shuffle("up", "wide", 2)
    plain = model([made for made, _ in parts], [tensor for _, found in parts for tensor in found], [LATENT], [output])
    assert operators(arranged(plain)) == ["Conv", "DepthToSpace"]
