import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from aeedge_export import ExportError, ParityError, export_bundle, export_model, export_run
from aeedge_export.checks.parity import Check
from aeedge_export.precision import cost as price_module
from aeedge_export.precision import variant as variant_module
from aeedge_export.precision.cost import GraphPrice, RatePoint, Timing, check_rates, price_of
from aeedge_export.precision.equalize import channel_ranges, equalize
from aeedge_export.precision.float16 import halve
from aeedge_export.precision.int8 import TARGETS, find_target, quantizable, quantize, quantize_layers
from aeedge_export.precision.request import Request
from aeedge_runtime import ArgumentError, Bundle, Codec, verify_bundle
from aeedge_runtime.inference.session import SessionOptions, open_session

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]

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
                found[key] = export_model(source(family), target)
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


def types_of(model):
    values = [*model.graph.input, *model.graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


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
    report = export_model(source("conv"), tmp_path / "bundle", request=Request.parse("fp16", None, None))
    assert report.price is not None
    assert Bundle.load(report.path).manifest.precision["decoder"] == "fp16"


def test_a_variant_is_no_start_for_another(made, source, tmp_path):
    with pytest.raises(ArgumentError, match="is fp16 in its encoder, fp16 in its decoder; start from the float32"):
        export_bundle(made("conv", "fp16").path, tmp_path / "x", source("conv").held_out, precision="int8")
    assert not list(tmp_path.iterdir())


def test_too_few_images_are_refused(made, source, tmp_path):
    with pytest.raises(ArgumentError, match="too few images"):
        export_bundle(made("conv", "fp32").path, tmp_path / "x", source("conv").held_out[:1], precision="fp16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("fp64", None, None), 'precision: found "fp64"'),
        (("fp32", "encoder", None), "quantize: does not apply"),
        (("int8", "prior", None), 'quantize: found "prior"'),
        (("fp16", None, "x86"), "target: applies to int8 only"),
        (("int8", None, "sparc"), 'target: found "sparc"'),
    ],
)
def test_options_that_do_not_apply(options, message):
    with pytest.raises(ArgumentError, match=message):
        Request.parse(*options)


def test_a_graph_that_is_not_written_cannot_be_changed(tmp_path):
    with pytest.raises(ArgumentError, match='found "decoder", which "only: encoder" does not write'):
        export_run("none", tmp_path / "bundle", only="encoder", quantize="decoder", precision="fp16")


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


def graph_of(*widths, spread=100.0):
    """A chain of 1x1 convolutions with ReLUs whose inner channels differ widely in range."""
    rng = np.random.default_rng(0)
    nodes, tensors, name = [], [], "x"
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        scale = np.geomspace(1, spread, outputs)
        weight = rng.normal(0, 1, (outputs, inputs, 1, 1)) * scale[:, None, None, None] / inputs
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"w{place}"))
        tensors.append(numpy_helper.from_array(rng.normal(0, 0.1, outputs).astype(np.float32), f"b{place}"))
        nodes.append(
            onnx.helper.make_node("Conv", [name, f"w{place}", f"b{place}"], [f"c{place}"], name=f"Conv_{place}")
        )
        nodes.append(onnx.helper.make_node("Relu", [f"c{place}"], [f"r{place}"], name=f"Relu_{place}"))
        name = f"r{place}"
    nodes[-1].output[0] = "y"
    values = [
        onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["n", count, "h", "w"])
        for value, count in (("x", widths[0]), ("y", widths[-1]))
    ]
    graph = onnx.helper.make_graph(nodes, "graph", [values[0]], [values[1]], tensors)
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])


@pytest.fixture
def chain():
    rng = np.random.default_rng(1)
    model = graph_of(8, 32, 32, 16)
    return model, [{"x": rng.normal(0, 1, (1, 8, 12, 12)).astype(np.float32)} for _ in range(3)]


def outputs(model, feeds):
    session = open_session(model.SerializeToString(), SessionOptions(threads=1), role="graph")
    return [session.run(feed)[0].astype(np.float64) for feed in feeds]


def error_against(model):
    def error(changed, feeds):
        return float(np.sqrt(np.mean(np.square(np.subtract(outputs(changed, feeds), outputs(model, feeds))))))

    return error


def test_equalizing_keeps_the_function_and_evens_the_ranges(chain):
    model, feeds = chain
    changed = equalize(model, quantizable(model), feeds)
    for ours, theirs in zip(outputs(changed, feeds), outputs(model, feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    uneven, even = (channel_ranges(graph, ["r0"], feeds)["r0"] for graph in (model, changed))
    assert uneven.max() / uneven[uneven > 0].min() > 20
    assert even[even > 0].min() > 0.5 * even.max()
    assert [node.op_type for node in changed.graph.node].count("Mul") == 2  # at the ends; folded in between


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_computes_nearly_the_same(chain, target):
    model, feeds = chain
    changed = quantize_layers(model, quantizable(model), feeds, TARGETS[target])
    scale = float(np.sqrt(np.mean(np.square(outputs(model, feeds)))))
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


def test_half_of_the_bytes_in_float16(chain):
    model, feeds = chain
    halved = halve(model)
    assert halved.ByteSize() < 0.7 * model.ByteSize()
    assert types_of(halved) == types_of(model)
    assert error_against(model)(halved, feeds) < 2e-3 * np.sqrt(np.mean(np.square(outputs(model, feeds))))


def test_this_machine_has_a_target():
    assert find_target(None).name in TARGETS


def timing(speed, noise=0.05):
    return Timing(10.0, 10.0 / speed, speed, noise)


def graph_price(speed, noise=0.05):
    return GraphPrice("encoder", "int8", timing(speed, noise), 4_000_000, 1_000_000, 7, ("Conv_1",))


@pytest.mark.parametrize(
    ("speed", "noise", "gains"), [(1.5, 0.05, True), (1.04, 0.05, False), (1.015, 0.0, False), (0.7, 0.1, False)]
)
def test_a_ratio_within_the_noise_is_no_gain(speed, noise, gains):
    price = price_of(points(), [graph_price(speed, noise)], 2)
    assert price.graphs[0].timing.gains is gains
    assert ("NO GAIN" not in "\n".join(price.lines())) is gains
    assert "1 of 8 layers left in float" in price.lines()[0]


def test_each_graph_is_timed_right_after_the_other(chain, monkeypatch):
    model, feeds = chain
    order = []

    def milliseconds(session, feed):
        order.append(session)
        return 2.0 if session is order[0] else 1.0

    monkeypatch.setattr(price_module, "_milliseconds", milliseconds)
    data = model.SerializeToString()
    timing = price_module.time_graphs(data, data, feeds[0], SessionOptions(threads=1), turns=5)
    assert order == order[:2] * 10
    assert order[0] is not order[1]
    assert (timing.fp32_ms, timing.variant_ms, timing.speed, timing.noise) == (2.0, 1.0, 2.0, 0.0)


def test_a_variant_that_is_neither_faster_nor_smaller_is_no_gain_at_all():
    smaller = price_of(points(), [graph_price(1.0)], 2).lines()[-1]
    assert "NO GAIN in time on this machine: take it for its size" in smaller
    larger = replace(graph_price(1.0), variant_bytes=3_900_000)
    assert "NO GAIN in time or size on this machine" in price_of(points(), [larger], 2).lines()[-1]


def points(growth=1.0, loss=1.0, undecoded=0):
    return [
        RatePoint(
            quality,
            (quality * 1000, round(quality * 1000 * growth)),
            (900 / quality, loss * 900 / quality),
            5000,
            10,
            undecoded,
            0.2,
        )
        for quality in price_module.QUALITIES
    ]


def test_the_price_of_ten_percent_more_bytes_and_of_a_tenth_of_a_decibel():
    assert price_of(points(growth=1.1), [], 1).bd_rate_percent == pytest.approx(10, abs=0.5)
    assert price_of(points(), [], 1).bd_rate_percent == pytest.approx(0, abs=1e-6)
    assert price_of(points(loss=10**0.01), [], 1).psnr_change_db == pytest.approx(-0.1, abs=0.01)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (points(undecoded=1), "symbols that the other bundle decodes otherwise"),
        (points(growth=2), "payload growth"),
        (points(loss=3), "PSNR loss"),
        (points(loss=float("nan")), "PSNR loss"),
    ],
)
def test_every_limit_can_be_missed(found, missed):
    parity = check_rates(found, "fp16", [np.zeros((8, 8, 3), np.uint8)])
    assert [check.name for check in parity.checks if not check.passed] == [missed]
    assert isinstance(parity.checks[0], Check)


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
