import numpy as np
import onnx_ir
import pytest

from aeedge_export import ExportError, ParityError, export_source
from aeedge_export.checks.parity_gate import measure_parity
from aeedge_export.draft import Draft, build_draft

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]


def alter(graph, count, change):
    """Change the largest values of the last layer's weight in a graph by a share of themselves."""
    value = [value for value in graph.graph.initializers.values() if len(value.shape) > 1][-1]
    array = value.const_value.numpy().copy()
    array.flat[np.argsort(-np.abs(array.ravel()))[:count]] *= 1 + change
    value.const_value = onnx_ir.tensor(array, name=value.name)


def test_one_altered_weight_fails_the_gate_and_leaves_nothing(source, tmp_path, monkeypatch):
    original = Draft.files

    def altered(self, *arguments):
        if not self.training.get("altered"):
            alter(self.graphs["encoder"], 1, 0.05)
            self.training = {"altered": True}
        return original(self, *arguments)

    monkeypatch.setattr(Draft, "files", altered)
    with pytest.raises(ParityError, match=r"latent difference: .*limit 0\.001") as raised:
        export_source(source("dense"), tmp_path / "bundle")
    assert raised.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_decoder_fails_the_gate_on_pixels(source):
    draft, _ = build_draft(source("dense"), None, lambda line: None)
    alter(draft.graphs["decoder"], 40, 1.0)
    parity = measure_parity(draft.model, draft.bundle(), source("dense").held_out)
    assert "pixel difference, same symbols" in {check.name for check in parity.checks if not check.passed}
    with pytest.raises(ParityError, match="pixel difference"):
        parity.require()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["prior", "context", "group_1", "group_2"])
def test_an_exact_prior_off_by_one_unit_fails_the_gate_on_indices(source, hyper_draft, role):
    name = "index.weight" if role.startswith("group") else "predictor.index.weight"
    value = hyper_draft.graphs[role].graph.initializers[name]
    kept, array = value.const_value, value.const_value.numpy().copy()
    array[:, 0] += 1 / 256
    value.const_value = onnx_ir.tensor(array, name=value.name)
    parity = measure_parity(hyper_draft.model, hyper_draft.bundle(), source("hyperprior").held_out)
    value.const_value = kept
    assert "table indices that differ" in {check.name for check in parity.checks if not check.passed}


def test_a_gate_without_images_is_no_gate(source):
    with pytest.raises(ExportError, match="no held-out images"):
        measure_parity(source("dense").model, None, [])
