import copy
import dataclasses
import json
import zipfile

import numpy as np
import pytest
import torch

from aeedge_export import ExportError, export_run, export_source
from aeedge_export.export import export_bundle
from aeedge_runtime import AeedgeError, ArgumentError, Codec, MissingHalfError, verify_bundle

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]

FAMILIES = ("dense", "vae", "conv", pytest.param("hyperprior", marks=pytest.mark.slow))


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


@pytest.mark.parametrize("only", ["encoder", "decoder"])
def test_half_a_bundle_serves_its_side_and_verifies(bundles, source, tmp_path, only):
    whole = bundles("dense")
    half = export_source(source("dense"), tmp_path / "half.aeb", only=only)
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


def test_weights_that_are_not_finite_are_refused_and_nothing_is_written(source, tmp_path):
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        next(iter(model.decoder.parameters())).view(-1)[0] = float("nan")
    with pytest.raises(ExportError, match=r"decoder\..* holds NaN"):
        export_source(dataclasses.replace(source("dense"), model=model), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [{"precision": "fp8"}, {"only": "both"}])
def test_options_that_do_not_apply_are_refused_before_anything_is_loaded(tmp_path, option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        export_run(tmp_path / "no run", tmp_path / "bundle", **option)


def test_a_run_that_is_none_is_an_error(tmp_path):
    with pytest.raises(AeedgeError, match=r"config\.json"):
        export_run(tmp_path, tmp_path / "bundle")


def test_a_bundle_is_in_fp32_already(tmp_path):
    with pytest.raises(ArgumentError, match="already in fp32"):
        export_bundle("photo", tmp_path / "b", [], precision="fp32")
