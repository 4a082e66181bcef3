"""Decoders beside the full one: lite from another model, preview from least squares."""

import copy
from dataclasses import replace

import pytest
import torch

from aeedge_export import export_source
from aeedge_export.decoders import add_decoders
from aeedge_export.graphs.canonical import zip_bytes
from aeedge_export.preview import fit_preview
from aeedge_runtime import ArgumentError, Bundle, Codec, verify_bundle
from aeedge_runtime.coding.preview import reduced
from aeedge_runtime.images.psnr import psnr_db

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]


def changed(model, part):
    """A copy of a model of which one part has other weights."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in getattr(other, part).parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    return other


@pytest.fixture(scope="module")
def lite_bundle(source, tmp_path_factory):
    conv = source("conv")
    folder = tmp_path_factory.mktemp("lite") / "bundle"
    return export_source(replace(conv, lite=changed(conv.model, "decoder")), folder)


@pytest.mark.slow
def test_a_bundle_with_a_lite_decoder_keeps_its_stream_id(bundles, lite_bundle, source):
    assert lite_bundle.stream_id == bundles("conv").stream_id
    assert verify_bundle(lite_bundle.path).passed
    names = [check.name for check in lite_bundle.parity.checks]
    assert "pixel difference of the lite decoder" in names
    image = source("conv").held_out[0]
    full, lite = (Codec.load(lite_bundle.path, decoder=decoder) for decoder in ("full", "lite"))
    stream = full.compress(image, 90, stored_tiles=False)
    assert psnr_db(full.decompress(stream), lite.decompress(stream)) < 45


def test_a_lite_decoder_of_another_encoder_is_refused_and_nothing_is_written(source, tmp_path):
    conv = source("conv")
    with pytest.raises(ArgumentError, match="--train-decoder"):
        export_source(replace(conv, lite=changed(conv.model, "encoder")), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_half_a_bundle_holds_no_decoder(source, lite_bundle, tmp_path):
    conv = source("conv")
    half = export_source(replace(conv, lite=changed(conv.model, "decoder")), tmp_path / "half", only="encoder")
    assert [name for name in half.files if name.startswith("decoder")] == []
    assert {"decoder_lite.onnx", "decoder_preview.onnx"} <= set(lite_bundle.files)


def test_the_preview_is_near_the_mean_of_every_8x8_pixels(bundles, source):
    report = bundles("conv")
    codec = Codec.load(report.path)
    for image in source("conv").held_out:
        found = codec.preview(codec.compress(image, 90, stored_tiles=False))
        assert psnr_db(found, reduced(image)) > 20  # three small images are all that it was fitted to
    assert report.facts["decoders_psnr_db"]["preview"] > 20


def test_equal_bundles_have_equal_previews(bundles, source):
    codec = Codec.load(bundles("conv").path)
    first, second = (fit_preview(codec, source("conv").calibration) for _ in range(2))
    assert torch.equal(first.head.weight, second.head.weight)
    assert torch.equal(first.head.weight, first.head.weight.half().float())


def test_decoders_join_a_bundle_without_its_run(bundles, source):
    conv, bundle = source("conv"), Bundle.load(bundles("conv").path)
    files, checks, facts = add_decoders(bundle, changed(conv.model, "decoder"), conv.held_out * 2)
    more = Bundle.load(zip_bytes(files))
    assert more.stream_id == bundle.stream_id
    assert more.read("decoder.onnx") == bundle.read("decoder.onnx")
    assert [check.passed for check in checks] == [True]
    assert set(facts["decoders_psnr_db"]) == {"full", "lite", "preview"}
    with pytest.raises(ArgumentError, match="--train-decoder"):
        add_decoders(bundle, changed(conv.model, "encoder"), conv.held_out)


def test_patches_have_no_preview(bundles):
    assert "decoder_preview.onnx" not in bundles("dense").files
