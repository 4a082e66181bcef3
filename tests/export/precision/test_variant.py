import json

import numpy as np
import onnx
import pytest
from chains import types_of
from onnx import numpy_helper

from aeedge_export import ParityError, export_bundle, export_source
from aeedge_export.precision import cost as price_module
from aeedge_export.precision import variant as variant_module
from aeedge_export.precision.float16 import halve
from aeedge_export.precision.request import Request
from aeedge_runtime import ArgumentError, Bundle, Codec, verify_bundle

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:quality .* does not take more bytes"),
]

KINDS = [("hyperprior", "int8"), ("hyperprior", "fp16"), ("conv", "fp16"), ("dense", "int8")]


@pytest.fixture(scope="module", autouse=True)
def _loose(module_patch):
    """Networks that were hardly trained lose more to 8 bits than real ones."""
    module_patch.setattr(price_module, "TURNS", 3)
    module_patch.setattr(variant_module, "CHECKED", 2)
    module_patch.setattr(variant_module, "ERROR_LIMITS", {"encoder": 1.0, "decoder": 4.0})
    loose = price_module.Limits(4.0, 2.0, 0.9, 0.5)
    module_patch.setitem(price_module.LIMITS, "int8", loose)


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    """Exports a family once in float32 and derives each precision once."""
    found = {}

    def make(family, precision):
        key = family, precision
        if key not in found:
            target = tmp_path_factory.mktemp(family) / precision
            if precision == "fp32":
                found[key] = export_source(source(family), target)
            else:
                images = [*source(family).calibration, *source(family).held_out]
                found[key] = export_bundle(make(family, "fp32").path, target, images, precision=precision)
        return found[key]

    return make


@pytest.mark.parametrize(("family", "precision"), KINDS)
def test_streams_decode_both_ways(made, source, family, precision):
    bundles = made(family, "fp32"), made(family, precision)
    assert bundles[0].stream_id == bundles[1].stream_id
    codecs = [Codec.load(bundle.path, threads=1) for bundle in bundles]
    image = source(family).held_out[0][:61, :90]
    for quality in (20, 80):
        for codec in codecs:
            stream = codec.compress(image, quality)
            symbols = [other.decompress_symbols(stream) for other in codecs]
            np.testing.assert_array_equal(*symbols)
            pixels = [other.decompress(stream).astype(float) for other in codecs]
            assert np.sqrt(np.square(pixels[0] - pixels[1]).mean()) < 4


@pytest.mark.parametrize(("family", "precision"), KINDS)
def test_only_encoder_and_decoder_change(made, family, precision):
    before, after = (Bundle.load(made(family, kind).path) for kind in ("fp32", precision))
    for name in before.manifest.files:
        if name.startswith(("prior", "context", "group_", "hyper_encoder", "entropy")):
            assert before.read(name) == after.read(name)
    for role in ("encoder", "decoder"):
        assert before.read(f"{role}.onnx") != after.read(f"{role}.onnx")
        models = [onnx.load_from_string(bundle.read(f"{role}.onnx")) for bundle in (before, after)]
        for model in models:
            model.ClearField("metadata_props")
        assert types_of(models[0]) == types_of(models[1])
    assert after.manifest.precision == {"encoder": precision, "decoder": precision}
    assert before.manifest.precision == {"encoder": "fp32", "decoder": "fp32"}


@pytest.mark.parametrize(("family", "precision"), KINDS)
def test_a_variant_verifies_and_says_what_it_costs(made, family, precision):
    report = made(family, precision)
    assert verify_bundle(report.path, threads=1).passed
    lines = "\n".join(report.price.lines())
    assert "PSNR at equal bytes" in lines
    assert "symbols that differ" in lines
    assert {graph.role for graph in report.price.graphs} == {"encoder", "decoder"}
    parity = json.loads((report.path / "parity.json").read_text())
    assert parity["passed"]
    assert "ms" not in json.dumps(parity).split()  # times are of a machine, and would make two exports differ
    assert json.loads(json.dumps(report.as_dict()))["price"]["graphs"]


def test_one_graph_alone_and_half_a_bundle(made, source, tmp_path):
    images = source("hyperprior").held_out
    place = made("hyperprior", "fp32").path
    report = export_bundle(place, tmp_path / "half", images, precision="fp16", quantize="encoder", only="encoder")
    bundle = Bundle.load(report.path)
    assert bundle.manifest.precision == {"encoder": "fp16", "decoder": "fp32"}
    assert bundle.manifest.halves == ("encoder",)
    assert {"encoder.onnx", "hyper_encoder.onnx", "prior.onnx"} <= set(report.files)
    assert "decoder.onnx" not in report.files
    stream = Codec.load(bundle, threads=1).compress(images[0])
    assert Codec.load(place, threads=1).decompress(stream).shape == images[0].shape


def test_a_run_is_exported_in_another_precision_at_once(source, tmp_path):
    report = export_source(source("conv"), tmp_path / "bundle", request=Request.parse("fp16", None, None))
    assert report.price is not None
    assert Bundle.load(report.path).manifest.precision["decoder"] == "fp16"


def test_a_variant_is_no_start_for_another(made, source, tmp_path):
    with pytest.raises(ArgumentError, match="is fp16 in its encoder, fp16 in its decoder; start from the float32"):
        export_bundle(made("conv", "fp16").path, tmp_path / "x", source("conv").held_out, precision="int8")
    assert not list(tmp_path.iterdir())


def test_too_few_images_are_refused(made, source, tmp_path):
    with pytest.raises(ArgumentError, match="too few images"):
        export_bundle(made("conv", "fp32").path, tmp_path / "x", source("conv").held_out[:1], precision="fp16")


def test_a_broken_variant_is_not_written(made, source, tmp_path, monkeypatch):
    def broken(model):
        halved = halve(model)
        for tensor in halved.graph.initializer:
            if len(tensor.dims) == 4:
                values = numpy_helper.to_array(tensor).copy()
                values[: len(values) // 2] = 0
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return halved

    monkeypatch.setattr(variant_module, "halve", broken)
    with pytest.raises(ParityError, match=r"too far from the float32 bundle.*no bundle was written"):
        export_bundle(made("hyperprior", "fp32").path, tmp_path / "x", source("hyperprior").held_out, precision="fp16")
    assert not list(tmp_path.iterdir())


def test_a_decoder_sees_patches_of_every_quality(made, source):
    bundle = Bundle.load(made("dense", "fp32").path)
    (feed,) = variant_module.Feeding(bundle, source("dense").calibration[:6]).of("decoder")
    found = feed["latent"][:, :, 0, 0]
    assert len(found) == 6
    for place, latent in enumerate(found):
        steps = bundle.tables.steps[variant_module.FEED_QUALITIES[place % 3] - 1]
        scaled = (latent - bundle.tables.offsets) / steps
        np.testing.assert_allclose(scaled, np.rint(scaled), atol=1e-3)


def test_no_more_patches_are_calibrated_on_than_asked_for(made, source, monkeypatch):
    monkeypatch.setattr(variant_module, "PATCHES", 10)
    monkeypatch.setattr(variant_module, "CALIBRATION", 3)
    feeding = variant_module.Feeding(Bundle.load(made("dense", "fp32").path), source("dense").calibration)
    assert [len(feed["image"]) for feed in feeding.of("encoder")] == [10, 10, 10]


def test_two_exports_are_equal(source, made, tmp_path):
    images = [*source("hyperprior").calibration, *source("hyperprior").held_out]
    place = made("hyperprior", "fp32").path
    first = export_bundle(place, tmp_path / "first", images, precision="int8")
    assert {name: (first.path / name).read_bytes() for name in first.files} == {
        name: (made("hyperprior", "int8").path / name).read_bytes() for name in first.files
    }
