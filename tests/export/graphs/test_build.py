from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from aeedge_export import ExportError
from aeedge_export.frozen import frozen_copy
from aeedge_export.graphs.build import GraphSpec, export_graph, graph_specs
from aeedge_export.graphs.canonical import graph_bytes

pytestmark = pytest.mark.torch

FAMILIES = ("dense", "vae", "conv", pytest.param("hyperprior", marks=pytest.mark.slow))

FEATURES = ["scale_features", "mean_features"]

NAMES = {
    "encoder": (["image"], ["latent"]),
    "decoder": (["latent"], ["image"]),
    "hyper_encoder": (["latent_steps"], ["hyper"]),
    "prior": (["hyper_symbols", "inside", "squares"], ["table_index", "mean", *FEATURES]),
    "context": (
        [*FEATURES, "known_symbols", "known_latent", "place", "squares"],
        ["table_index", "mean"],
    ),
    "group_1": ([*FEATURES, "known_symbols", "known_latent"], ["table_index", "mean"]),
    "group_2": ([*FEATURES, "known_symbols", "known_latent"], ["table_index", "mean"]),
}


@pytest.fixture(scope="module", params=FAMILIES)
def graphs(request, source):
    model = frozen_copy(source(request.param).model)
    with torch.no_grad():
        specs = graph_specs(model)
        return request.param, {role: (spec, graph_bytes(export_graph(spec), {})) for role, spec in specs.items()}


def test_decoders_do_not_shuffle_floats(graphs):
    family, found = graphs
    decoder = [node.op_type for node in onnx.load_from_string(found["decoder"][1]).graph.node]
    assert "DepthToSpace" not in decoder
    assert "Div" not in decoder
    assert decoder[-1] == ("Reshape" if family in ("conv", "hyperprior") else "Transpose")


def test_graphs_have_stable_names_one_opset_and_nothing_of_the_machine(graphs):
    family, found = graphs
    assert set(found) == (set(NAMES) if family == "hyperprior" else {"encoder", "decoder"})
    for role, (_, data) in found.items():
        model = onnx.load_from_string(data)
        inputs, outputs = NAMES[role]
        assert [value.name for value in model.graph.input] == inputs
        assert [value.name for value in model.graph.output] == outputs + ["log_variance"] * (
            family == "vae" and role == "encoder"
        )
        assert (model.ir_version, model.opset_import[0].version, len(model.opset_import)) == (10, 18, 1)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert str(Path.cwd()).encode() not in data
        onnx.checker.check_model(model)


def test_graphs_compute_what_pytorch_computes_at_other_sizes(graphs):
    family, found = graphs
    rng = np.random.default_rng(0)
    for role, (spec, data) in found.items():
        feeds = {}
        for name, example in spec.inputs.items():
            size = [3, *example.shape[1:]]
            if family in ("conv", "hyperprior") and role in ("encoder", "decoder"):
                size = [3, 80, 48, 3] if role == "encoder" else [3, example.shape[1], 2, 7]
            if example.dtype == torch.int64:
                feeds[name] = example.numpy()
            elif example.dtype == torch.uint8:
                feeds[name] = rng.integers(0, 256, size).astype(np.uint8)
            else:
                feeds[name] = np.rint(rng.normal(0, 3, size)).astype(np.float32)
        outputs = onnxruntime.InferenceSession(data).run(None, feeds)
        with torch.no_grad():
            expected = spec.module(*[torch.from_numpy(values) for values in feeds.values()])
        for ours, theirs in zip(outputs, expected if isinstance(expected, tuple) else [expected], strict=True):
            assert ours.shape == tuple(theirs.shape)
            whole = 1 if role == "decoder" else 0  # table indices are exact
            atol = whole if ours.dtype == np.uint8 else 1e-3
            np.testing.assert_allclose(ours.astype(float), theirs.numpy().astype(float), atol=atol, rtol=0)


class Noisy(nn.Module):
    def forward(self, latent):
        return latent + torch.randn_like(latent)


class Careless(nn.Module):
    def forward(self, latent, unused):
        return latent * 2


def spec_of(module, *names):
    inputs = {name: torch.rand(2, 3) for name in names}
    return GraphSpec(module, inputs, {**dict.fromkeys(names, ("batch", None)), "result": ("batch", None)})


def test_a_random_operator_is_refused():
    with pytest.raises(ExportError, match=r"random numbers \(RandomNormalLike\)"):
        export_graph(spec_of(Noisy(), "latent"))


def test_an_input_that_is_not_used_is_refused():
    with pytest.raises(ExportError, match="does not use its input unused"):
        export_graph(spec_of(Careless(), "latent", "unused"))


@pytest.mark.parametrize("fails", [True, False])
def test_what_the_exporter_of_pytorch_says_is_one_error(monkeypatch, fails):
    def export(*_, **__):
        if fails:
            raise torch.onnx.errors.OnnxExporterError("no such operator\nand more")

    monkeypatch.setattr(torch.onnx, "export", export)
    message = "refused the Careless: no such operator$" if fails else "returned nothing for the Careless"
    with pytest.raises(ExportError, match=message):
        export_graph(spec_of(Careless(), "latent", "unused"))
