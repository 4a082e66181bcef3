import numpy as np
import onnxruntime
import pytest
import tiny_networks as tiny
import torch
from torch import nn

from aeedge_export import ExportError, adapt
from aeedge_export.frozen import frozen_copy
from aeedge_export.graphs.build import export_graphs
from aeedge_export.graphs.canonical import graph_bytes
from aeedge_export.networks.torch_pair import warn_of_pixels
from aeedge_runtime import AeedgeWarning, ArgumentError

pytestmark = pytest.mark.torch

CONV = {"stride": (8, 8), "latent_channels": 4, "patched": False, "cell": 1}
FOUND = [
    (tiny.Plain, {}, CONV),
    (lambda: (tiny.down(), tiny.up()), {}, CONV),
    (lambda: tiny.Plain(1, 5, (4, 8)), {}, {"channels": 1, "stride": (4, 8), "latent_channels": 5}),
    (tiny.Methods, {}, CONV),
    (tiny.Posterior, {}, CONV),
    (tiny.Named, {}, CONV),
    (tiny.Named, {"latent": "features"}, CONV),
    (tiny.Distributed, {}, CONV),
    (tiny.Diffusers, {}, CONV),
    (tiny.ChannelsLast, {}, {**CONV, "image_last": True, "latent_last": True, "output_last": True}),
    (tiny.Multiples, {}, {"stride": (32, 32), "latent_channels": 64, "cell": 4}),
    (tiny.Digits, {}, {"channels": 1, "stride": (28, 28), "patched": True, "patch_latent": (6,)}),
    (tiny.Positional, {}, {"stride": (64, 64), "patched": True, "patch_latent": (4, 8, 8), "latent_channels": 256}),
    (tiny.Bytes, {}, CONV),
    (tiny.Normalized, {"whole": 10_000}, CONV),
    (tiny.Normalized, {"tile": (32, 48)}, {"stride": (32, 48), "patched": True}),
    (tiny.Nameless, {"encode": "first", "decode": "second"}, CONV),
    (tiny.Nameless, {"encode": lambda net, x: net.first(x), "decode": lambda net, z: net.second(z)}, CONV),
    (lambda: tiny.Plain().half(), {}, CONV),
    (tiny.Computed, {}, CONV),
    (tiny.TakesBytes, {}, CONV),
    (tiny.FlatDigits, {}, {"channels": 1, "stride": (28, 28), "patched": True, "patch_latent": (6,)}),
]


@pytest.mark.parametrize(("make", "options", "facts"), FOUND)
def test_a_network_is_understood_and_its_graphs_compute_the_same(make, options, facts):
    torch.manual_seed(0)
    model = adapt(make(), **options)
    assert {name: getattr(model.config, name) for name in facts} == facts
    rows, columns = model.stride
    grid = (1, 1) if model.patched else (3, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (2, grid[0] * rows, grid[1] * columns, model.channels), np.uint8)
    graphs = export_graphs(frozen_copy(model))
    encoder, decoder = (onnxruntime.InferenceSession(graph_bytes(graphs[half], {})) for half in ("encoder", "decoder"))
    (latent,) = encoder.run(None, {"image": pixels})
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = model.encode(image)
        decoded = model.decode(expected).clamp(0, 1).mul(255).round().permute(0, 2, 3, 1)
    np.testing.assert_allclose(latent, expected.numpy(), atol=1e-4)
    (found,) = decoder.run(None, {"latent": latent})
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found.astype(float), decoded.numpy(), atol=1)


@pytest.mark.parametrize(
    ("make", "options", "facts"),
    [
        (lambda: nn.DataParallel(tiny.Plain()), {}, CONV),
        (tiny.Inner, {"encode": "net.encoder", "decode": "net.decoder"}, CONV),
        (tiny.Inference, {}, CONV),
        (tiny.OddDict, {"latent": "code", "output": "picture"}, CONV),
        (tiny.Draws, {"latent": 1}, CONV),
        (tiny.Deep, {}, {"stride": (16, 16), "latent_channels": 6}),
        (lambda: (tiny.FlatDigits().encoder, tiny.FlatDigits().decoder), {}, {"stride": (28, 28), "patched": True}),
    ],
)
def test_more_habits_are_understood(make, options, facts):
    config = adapt(make(), **options).config
    assert {name: getattr(config, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (tiny.Nameless, {}, "encode and decode"),
        (tiny.Plain, {"encode": "encoder"}, "both or neither"),
        (tiny.Plain, {"encode": "coder", "decode": "decoder"}, "coder"),
        (tiny.Random, {}, "random numbers"),
        (tiny.Skip, {}, "skip around the bottleneck"),
        (tiny.TwoLatents, {}, "top, bottom.*latent"),
        (tiny.Named, {"latent": "mu"}, "'mu'"),
        (tiny.OddDict, {"latent": "code"}, "--decoded"),
        (tiny.Draws, {}, "random numbers"),
        (tiny.HandsSkips, {}, "skip around the bottleneck"),
        (tiny.Moments, {}, "do not fit together.*got 8 channels"),
        (tiny.Indices, {}, "torch.int64"),
        (torch.jit.ScriptModule, {}, "TorchScript"),
        (tiny.Smaller, {}, "do not come back at their size"),
        (lambda: (nn.Linear(50, 2), nn.Linear(2, 50)), {}, "fails on every image"),
        (tiny.Baked, {}, "batch of 1"),
        (tiny.Uncopyable, {}, "cannot be copied"),
        (lambda: tiny.Plain(4), {}, "images with 4 channels"),
        (lambda: tiny.Plain(1), {"pixels": "imagenet"}, "color images"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_change(make, options, reason):
    with pytest.raises(ExportError, match=reason):
        adapt(make(), **options)


@pytest.mark.parametrize(
    "options", [{"size": (8, 8), "tile": (8, 8)}, {"whole": 10}, {"pixels": "percent"}, {"pixels": (1.0, 1.0)}]
)
def test_options_that_do_not_fit_are_refused(options):
    with pytest.raises(ArgumentError):
        adapt(tiny.Plain(), **options)


def test_a_network_that_branches_on_data_is_refused_by_its_graph():
    model = adapt(tiny.Branching())
    with pytest.raises(ExportError, match="refused the EncoderGraph"):
        export_graphs(frozen_copy(model))


def test_the_network_itself_is_not_changed():
    network = tiny.Methods().half().train()
    adapt(network)
    assert network.training
    assert network.a.weight.dtype == torch.float16


def test_no_range_is_right_for_a_network_that_is_not_trained():
    torch.manual_seed(0)
    warn_of_pixels(adapt(tiny.Plain()), [np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)])


def test_a_pixel_range_that_fits_clearly_better_is_worth_a_warning():
    images = [np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)]

    class Signed(tiny.Methods):
        def encode(self, image):
            return functional_unshuffle(image)

        def decode(self, latent):
            return torch.nn.functional.pixel_shuffle(latent, 8).clamp(-1, 0.5)

    def functional_unshuffle(image):
        return torch.nn.functional.pixel_unshuffle(image, 8)

    with pytest.warns(AeedgeWarning, match='"unit".*"signed"'):
        warn_of_pixels(adapt(Signed()), images)
