"""Networks that repeat the border: their graphs, and what tiles of them see."""

import numpy as np
import onnx
import pytest
import torch

from aeedge.models.hyperprior import HyperpriorAutoencoder, HyperpriorConfig
from aeedge_export.checks.receptive_field import FIRST_GUESS, network_reach
from aeedge_export.frozen import double_copy, frozen_copy
from aeedge_export.graphs.build import export_graph, graph_specs
from aeedge_export.graphs.canonical import graph_bytes
from aeedge_runtime.inference.session import SessionOptions, open_session

pytestmark = pytest.mark.torch

SMALL = {"width": 16, "latent_channels": 16, "hidden": 8, "decoder_hidden": 8, "groups": (8, 8), "group_hidden": (8, 8)}
BLOCKS = {"encoder_blocks": (1, 1), "decoder_blocks": (1, 1)}


def network(padding):
    torch.manual_seed(1)
    model = HyperpriorAutoencoder(HyperpriorConfig(padding=padding, **SMALL, **BLOCKS))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "widen" in name or (name.startswith(("encoder", "decoder")) and name.endswith("bias")):
                weight.normal_(std=0.05)
    return frozen_copy(model)


@pytest.fixture(scope="module", params=["zeros", "replicate"])
def exported(request):
    model = network(request.param)
    with torch.no_grad():
        specs = graph_specs(model)
        graphs = {role: graph_bytes(export_graph(specs[role]), {}) for role in ("encoder", "decoder")}
    return request.param, model, graphs


def run(data, feed):
    return open_session(data, SessionOptions(threads=1), role="graph").run({**feed})[0]


def test_graphs_compute_what_the_network_does(exported):
    _, model, graphs = exported
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 80, 3), dtype=np.uint8)
    latent = model.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(run(graphs["encoder"], {"image": pixels}), latent.numpy(), atol=1e-4, rtol=0)
    image = model.decode(latent).clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(run(graphs["decoder"], {"latent": latent.numpy()}) - image).max() < 0.51


def test_pixels_are_padded_as_bytes_and_moved_by_the_bias(exported):
    padding, _, graphs = exported
    kinds = [node.op_type for node in onnx.load_from_string(graphs["encoder"]).graph.node]
    expected = {"zeros": ["Transpose", "Cast", "Sub", "Conv"], "replicate": ["Transpose", "Pad", "Cast", "Conv"]}
    used = [kind for kind in kinds[kinds.index("Transpose") :] if kind != "Mul"]
    assert used[:4] == expected[padding]


def test_residuals_are_known_to_be_as_large_as_what_they_are_added_to(exported):
    padding, _, graphs = exported
    for data in graphs.values():
        graph = onnx.load_from_string(data).graph
        shapes = {info.name: [size.dim_param for size in info.type.tensor_type.shape.dim] for info in graph.value_info}
        sums = [node for node in graph.node if node.op_type == "Add"]
        assert len(sums) == 2
        if padding == "zeros":
            assert not any(shapes.get(name) for node in sums for name in node.input)
        else:
            assert all(shapes[node.input[0]][2:] == shapes[node.input[1]][2:] != ["", ""] for node in sums)


def test_tiles_see_enough_of_each_other():
    photos = [
        np.repeat(np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8), 12, 0).repeat(12, 1)
        for number in range(2)
    ]
    steps = np.full((100, 16), 0.05, np.float32)
    reaches = {
        padding: network_reach(double_copy(network(padding)), steps, photos) for padding in ("zeros", "replicate")
    }
    assert 1 <= reaches["replicate"] <= reaches["zeros"] + 1 <= FIRST_GUESS
