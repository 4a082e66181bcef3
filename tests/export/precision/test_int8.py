import numpy as np
import pytest
from chains import error_against, graph_of, outputs
from onnx import numpy_helper

from aeedge_export import ExportError
from aeedge_export.precision.int8 import TARGETS, find_target, quantizable, quantize, quantize_layers

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_computes_nearly_the_same(chain, target):
    model, feeds = chain
    changed = quantize_layers(model, quantizable(model), feeds, TARGETS[target])
    scale = float(np.sqrt(np.mean(np.square(outputs(model, feeds)))))
    if TARGETS[target].narrow or not find_target(None).narrow:  # without VNNI, wide weights overflow 16 bits
        assert error_against(model)(changed, feeds) < 0.03 * scale
    weights = [
        numpy_helper.to_array(tensor) for tensor in changed.graph.initializer if tensor.name.endswith("_quantized")
    ]
    narrow = max(int(np.abs(values.astype(int)).max()) for values in weights if values.dtype == np.int8)
    assert narrow <= (64 if TARGETS[target].narrow else 127)
    zeros = {
        values.dtype
        for tensor in changed.graph.initializer
        if tensor.name.endswith("zero_point") and (values := numpy_helper.to_array(tensor)).ndim == 0
    }
    assert zeros == {np.dtype(np.int8 if TARGETS[target].signed else np.uint8)}


def test_the_layer_that_costs_most_stays_in_float(chain):
    model, feeds = chain
    error_of = error_against(model)
    target = TARGETS["x86-vnni"]
    everything = quantize(model, feeds, feeds[:1], target, error_of, limit=np.inf)
    assert everything.kept == ()
    layers = quantizable(model)
    single = {
        name: error_of(quantize_layers(model, [n for n in layers if n != name], feeds, target), feeds)
        for name in layers
    }
    best = min(single, key=single.__getitem__)
    kept = quantize(model, feeds, feeds, target, error_of, limit=single[best] * 1.0001)
    assert kept.kept == (best,)
    assert kept.error < everything.error
    with pytest.raises(ExportError, match=r"8 bits cost too much: error .* with 1 layers in float"):
        quantize(model, feeds, feeds[:1], target, error_of, limit=0)


def test_layers_with_few_channels_are_left_alone():
    assert quantizable(graph_of(3, 16, 16)) == ["Conv_1"]
    with pytest.raises(ExportError, match="no layer for 8 bits"):
        quantize(graph_of(3, 16), [], [], TARGETS["x86"], error_against(None), 1)


def test_this_machine_has_a_target():
    assert find_target(None).name in TARGETS
