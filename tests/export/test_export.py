import copy
import dataclasses
import json
import zipfile

import numpy as np
import onnx_ir
import pytest
import torch

from aeedge_export import ExportError, ParityError, export_model, export_run
from aeedge_export.checks.parity import Check
from aeedge_export.checks.parity_gate import measure_parity
from aeedge_export.draft import Draft, build_draft
from aeedge_export.export import export_bundle
from aeedge_runtime import AeedgeError, ArgumentError, Bundle, Codec, MissingHalfError, verify_bundle
from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.errors import AeedgeWarning

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]

FAMILIES = ("dense", "vae", "conv", "hyperprior")


@pytest.fixture(scope="module")
def bundles(source, tmp_path_factory):
    """Exports each family once, as a folder."""
    made = {}

    def make(family):
        if family not in made:
            folder = tmp_path_factory.mktemp(family) / "bundle"
            made[family] = export_model(source(family), folder)
        return made[family]

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_passes_its_gate_and_verifies(bundles, family):
    report = bundles(family)
    verification = verify_bundle(report.path)
    assert verification.passed, verification.faults
    assert report.stream_id == verification.stream_id
    assert len(verification.golden) >= 4
    parity = json.loads((report.path / "parity.json").read_text())
    assert parity["passed"]
    assert {case["batch"] for case in parity["cases"]} >= {1, 3}
    assert len({(case["height"], case["width"]) for case in parity["cases"]}) >= 3
    assert parity["symbols_per_quality"] >= 20_000
    assert {path.relative_to(report.path).as_posix() for path in report.path.rglob("*.*")} == set(report.files)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_restores_images_and_quality_buys_bytes(bundles, source, family):
    codec = Codec.load(bundles(family).path)
    image = source(family).held_out[1][:29, :50]
    sizes, errors = [], []
    for quality in (5, 50, 95):
        stream = codec.compress(image, quality)
        sizes.append(len(stream))
        errors.append(np.square(codec.decompress(stream).astype(float) - image).mean())
    assert sizes == sorted(sizes)
    assert errors[2] <= errors[0]
    assert errors[2] < image.var()


def test_graphs_say_what_they_are(bundles):
    import onnx

    report = bundles("conv")
    model = onnx.load(report.path / "decoder.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["aeedge.role"] == "decoder"
    assert properties["aeedge.stride"] == "16x16"
    assert properties["aeedge.stream_id"] == report.stream_id


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
        export_model(source("dense"), tmp_path / "bundle")
    assert raised.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def hyper_draft(source):
    return build_draft(source("hyperprior"), None, lambda line: None)[0]


def test_a_wrong_decoder_fails_the_gate_on_pixels(source):
    draft, _ = build_draft(source("dense"), None, lambda line: None)
    alter(draft.graphs["decoder"], 40, 1.0)
    parity = measure_parity(draft.model, draft.bundle(), source("dense").held_out)
    assert "pixel difference, same symbols" in {check.name for check in parity.checks if not check.passed}
    with pytest.raises(ParityError, match="pixel difference"):
        parity.require()


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


def test_a_measurement_that_is_no_number_fails():
    assert not Check("latent difference", float("nan"), 1e-3, "").passed
    assert "MISSED" in str(Check("latent difference", 2.0, 1e-3, ""))


@pytest.mark.parametrize("only", ["encoder", "decoder"])
def test_half_a_bundle_serves_its_side_and_verifies(bundles, source, tmp_path, only):
    whole = bundles("dense")
    half = export_model(source("dense"), tmp_path / "half.aeb", only=only)
    assert half.stream_id == whole.stream_id
    assert half.total_bytes < whole.total_bytes
    assert verify_bundle(half.path).passed
    with zipfile.ZipFile(half.path) as archive:
        assert archive.namelist() == sorted(half.files)
    codec, other = Codec.load(half.path), Codec.load(whole.path)
    image = source("dense").held_out[0]
    if only == "encoder":
        assert other.decompress(codec.compress(image)).shape == image.shape
        with pytest.raises(MissingHalfError):
            codec.decompress(codec.compress(image))
        assert not any(" decompress " in command for command in half.next_commands)
    else:
        assert codec.decompress(other.compress(image)).shape == image.shape
        assert not any(" compress " in command for command in half.next_commands)


def test_halves_of_a_hyperprior_hold_what_their_side_needs(hyper_draft):
    for only, roles in {
        "encoder": {"encoder", "hyper_encoder", "prior", "context", "group_1", "group_2"},
        "decoder": {"decoder", "prior", "context", "group_1", "group_2"},
    }.items():
        names = {name for name in hyper_draft.files((only,)) if name.endswith(".onnx")}
        assert names == {f"{role}.onnx" for role in roles}


def test_a_new_decoder_keeps_the_stream_id_with_the_old_tables(bundles, source, tmp_path):
    old = bundles("dense")
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter *= 1.01
    new = dataclasses.replace(source("dense"), model=model)
    report = export_model(new, tmp_path / "new", tables_from=old.path)
    assert report.stream_id == old.stream_id
    image = source("dense").held_out[0]
    Codec.load(report.path).decompress(Codec.load(old.path).compress(image))
    tables = read_arrays(Bundle.load(old.path).read("entropy.npz"))
    kept = dataclasses.replace(new, tables=tables)  # as a run has them that trained its decoder alone
    assert export_model(kept, tmp_path / "kept").stream_id == old.stream_id


def test_tables_of_another_encoder_are_refused(bundles, source, tmp_path):
    with pytest.raises(ArgumentError, match="another encoder"):
        export_model(source("vae"), tmp_path / "bundle", tables_from=bundles("dense").path)


def test_tables_of_another_encoder_are_refused_whatever_float16_holds(bundles, source, tmp_path):
    model = copy.deepcopy(source("vae").model)
    with torch.no_grad():
        next(iter(model.decoder.parameters())).view(-1)[0] = 7e4
    large = dataclasses.replace(source("vae"), model=model)
    with pytest.raises(ArgumentError, match="another encoder"):
        export_model(large, tmp_path / "bundle", tables_from=bundles("dense").path)


def test_weights_that_are_not_finite_are_refused_and_nothing_is_written(source, tmp_path):
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        next(iter(model.decoder.parameters())).view(-1)[0] = float("nan")
    with pytest.raises(ExportError, match=r"decoder\..* holds NaN"):
        export_model(dataclasses.replace(source("dense"), model=model), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["dense", "conv", "hyperprior", "vae"])
@pytest.mark.parametrize(("half", "what"), [("encoder", "latents"), ("decoder", "pixels")])
def test_a_model_that_has_diverged_is_refused_and_nothing_is_written(source, tmp_path, family, half, what):
    model = copy.deepcopy(source(family).model)
    with torch.no_grad():
        for parameter in getattr(model, half).parameters():
            parameter.copy_((parameter * 1e38).clamp(-3e38, 3e38))
    wild = dataclasses.replace(source(family), model=model)
    with pytest.raises(ExportError, match=f"the model gives {what} of .* has diverged; train again"):
        export_model(wild, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_constant_encoder_is_exported_with_a_warning(source, tmp_path):
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    with pytest.warns(AeedgeWarning, match="every latent channel is constant"):
        report = export_model(dataclasses.replace(source("dense"), model=model), tmp_path / "bundle")
    assert report.facts["dead_channels"] == 6
    codec = Codec.load(Bundle.load(report.path))
    assert codec.decompress(codec.compress(source("dense").held_out[0])).shape == (8, 8, 1)


@pytest.mark.parametrize("option", [{"precision": "fp8"}, {"only": "both"}])
def test_options_that_do_not_apply_are_refused_before_anything_is_loaded(tmp_path, option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        export_run(tmp_path / "no run", tmp_path / "bundle", **option)


def test_a_run_that_is_none_is_an_error(tmp_path):
    with pytest.raises(AeedgeError, match=r"config\.json"):
        export_run(tmp_path, tmp_path / "bundle")


def test_a_gate_without_images_is_no_gate(source):
    with pytest.raises(ExportError, match="no held-out images"):
        measure_parity(source("dense").model, None, [])


def test_a_bundle_is_in_fp32_already(tmp_path):
    with pytest.raises(ArgumentError, match="in fp32 already"):
        export_bundle("photo", tmp_path / "b", [], precision="fp32")
