"""The flagship network, its exact branch and its objective."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from aeedge.models import exact, hyperprior  # noqa: E402
from aeedge.models.orthonormal import analysis_matrices, colour_rotation, cosine_basis  # noqa: E402
from aeedge.training import rate_distortion as objective  # noqa: E402
from aeedge.training.batches import Batch, StepInfo  # noqa: E402
from aeedge.training.config import LossConfig  # noqa: E402
from aeedge.training.objectives import Hyperprior  # noqa: E402
from aeedge_runtime import ArgumentError  # noqa: E402

pytestmark = pytest.mark.torch

SQUARED = {"mse": 1.0}

CONFIG = hyperprior.HyperpriorConfig(
    width=48,
    latent_channels=40,
    hidden=16,
    decoder_hidden=16,
    hyper_channels=8,
    encoder_blocks=(1, 1),
    levels=4,
    groups=(12, 10, 18),
    group_hidden=(16, 20),
)
OWN = CONFIG.groups[0]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


def conv_integers(inputs, weight, bias):
    """Same-size convolution of int64 arrays, as obvious as it can be."""
    count, _, height, width = inputs.shape
    kernel = weight.shape[2]
    padded = np.pad(inputs, ((0, 0), (0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    result = np.zeros((count, len(weight), height, width), np.int64) + bias[:, None, None]
    for row in range(kernel):
        for column in range(kernel):
            window = padded[:, :, row : row + height, column : column + width]
            result += np.einsum("nchw,kc->nkhw", window, weight[:, :, row, column])
    return result


class IntegerScaleBranch:
    """The scale branch in int64: activations in units of 1/16, weights of 1/64."""

    def __init__(self, branch):
        found = {name: layer for name, layer in branch.named_modules() if isinstance(layer, exact.ExactConv2d)}
        self.layers = {name: self.integers(layer) for name, layer in found.items()}

    @staticmethod
    def integers(layer):
        weight, bias = layer.quantised()
        return (weight * 64).round().long().numpy(), (bias * 1024).round().long().numpy()

    def layer(self, name, value):
        return conv_integers(value, *self.layers[name])

    @staticmethod
    def activate(value):
        return np.clip(value >> 6, 0, 255)

    @staticmethod
    def shuffle(value):
        count, channels, height, width = value.shape
        cut = value.reshape(count, channels // 4, 2, 2, height, width)
        return cut.transpose(0, 1, 4, 2, 5, 3).reshape(count, channels // 4, 2 * height, 2 * width)

    def features(self, hyper_symbols, size):
        value = np.clip(hyper_symbols, -127, 127) * 4
        value = self.shuffle(self.activate(self.layer("first", value)))
        return self.shuffle(self.activate(self.layer("second", value)))[:, :, : size[0], : size[1]]

    def first_group(self, features, symbols, known):
        context = self.activate(self.layer("context_mix", np.minimum(np.abs(symbols), 15) * 16))
        context = self.activate(self.layer("context", context))
        value = self.activate(self.layer("trunk", np.concatenate([features, context, known * 16], axis=1)))
        return np.clip(self.layer("index", value) * 4 >> 10, 0, 63)

    def later_group(self, number, features, symbols):
        name = f"groups.{number - 1}"
        seen = np.concatenate([features, np.minimum(np.abs(symbols), 15) * 16], axis=1)
        value = self.activate(self.layer(f"{name}.trunk", self.activate(self.layer(f"{name}.mix", seen))))
        return np.clip(self.layer(f"{name}.index", value) * 4 >> 10, 0, 63)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 12), (1, 1)])
def test_scale_branch_equals_int64_arithmetic(model, height, width, threads):
    generator = np.random.default_rng(height * 100 + width)
    hyper = generator.integers(-200, 200, (2, CONFIG.hyper_channels, -(-height // 4), -(-width // 4)))
    symbols = generator.integers(-40, 40, (2, CONFIG.latent_channels, height, width))
    known = generator.integers(0, 2, (2, 1, height, width))
    prior, oracle = model.prior, IntegerScaleBranch(model.prior.scale)
    floats = torch.from_numpy(symbols).float()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            features = prior.features(torch.from_numpy(hyper).float(), (height, width))
            found = [prior.first_group(features, *[floats[:, :OWN]] * 2, torch.from_numpy(known).float())[0]]
            for number, (seen, _) in enumerate(CONFIG.later_groups(), 1):
                found.append(prior.later_group(number, features, *[floats[:, :seen]] * 2)[0])
    finally:
        torch.set_num_threads(before)
    whole = oracle.features(hyper, (height, width))
    expected = [oracle.first_group(whole, symbols[:, :OWN], known)]
    expected += [
        oracle.later_group(number, whole, symbols[:, :seen])
        for number, (seen, _) in enumerate(CONFIG.later_groups(), 1)
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours.numpy().astype(np.int64), theirs)
        assert theirs.min() < theirs.max()


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 12), (1, 2)])
def test_passes_predict_what_the_dense_prior_predicts(model, height, width):
    generator = torch.Generator().manual_seed(height)
    sizes = (2, CONFIG.hyper_channels, -(-height // 4), -(-width // 4)), (2, OWN, height, width)
    hyper, symbols = (torch.randint(-9, 9, size, generator=generator).float() for size in sizes)
    board, empty = hyperprior.checkerboard(symbols), torch.zeros_like(symbols)
    even, odd = (torch.from_numpy(np.flatnonzero(board[0, 0].numpy() == colour)) for colour in (1, 0))
    first, second, *_ = model.prior_passes()
    with torch.no_grad():
        index, mean, *features = first(hyper, torch.ones_like(board), even)
        shared = model.prior.features(hyper, (height, width))
        expected = model.prior.first_group(shared, empty, empty, empty[:, :1])
        for ours, theirs in zip((index, mean), expected, strict=True):
            torch.testing.assert_close(ours[:, :, 0].float(), theirs.flatten(2)[:, :, even], atol=1e-5, rtol=0)
        known = symbols.flatten(2)[:, :, even][:, :, None]
        place = torch.full((height * width,), len(even))
        place[even] = torch.arange(len(even))
        found = second(*features, known, known + mean, place.reshape(height, width), odd)
        latent = torch.zeros_like(symbols).flatten(2)
        latent[:, :, even] = (known + mean)[:, :, 0]
        expected = model.prior.first_group(shared, symbols * board, latent.reshape(symbols.shape), board)
    assert found[0].dtype == torch.uint8
    assert torch.equal(found[0][:, :, 0].float(), expected[0].flatten(2)[:, :, odd])
    torch.testing.assert_close(found[1][:, :, 0], expected[1].flatten(2)[:, :, odd], atol=1e-5, rtol=0)


def test_later_passes_predict_what_the_dense_prior_predicts(model):
    generator = torch.Generator().manual_seed(1)
    hyper = torch.randint(-9, 9, (2, CONFIG.hyper_channels, 2, 3), generator=generator).float()
    symbols = torch.randint(-30, 30, (2, CONFIG.latent_channels, 5, 9), generator=generator).float()
    latent = symbols + torch.rand(symbols.shape, generator=generator) - 0.5
    first, _, *later = model.prior_passes()
    assert len(later) == len(CONFIG.groups) - 1
    with torch.no_grad():
        _, _, *features = first(hyper, torch.ones_like(symbols[:, :1]), torch.arange(45))
        shared = model.prior.features(hyper, (5, 9))
        for number, (seen, group) in enumerate(CONFIG.later_groups(), 1):
            index, mean = later[number - 1](*features, symbols[:, :seen], latent[:, :seen])
            expected = model.prior.later_group(number, shared, symbols[:, :seen], latent[:, :seen])
            assert index.dtype == torch.uint8
            assert index.shape == (2, group, 5, 9)
            assert torch.equal(index.float(), expected[0])
            torch.testing.assert_close(mean, expected[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("groups", [(), (40, 0), (12, 10)])
def test_groups_cover_the_latent_channels(groups):
    with pytest.raises(ArgumentError, match=r"model\.groups: found .* 40 latent channels"):
        replace(CONFIG, groups=groups)


def test_one_group_has_two_passes():
    one = hyperprior.HyperpriorAutoencoder(replace(CONFIG, groups=(40,)))
    assert len(one.prior_passes()) == 2
    test_loss_reaches_every_weight_and_rewards_rate(one)


def test_partial_sums_stay_exact(model):
    assert model.prior.scale.largest_sum() < exact.EXACT_UNITS


def test_largest_sum_counts_weights_inputs_and_bias():
    layer = exact.ExactConv2d(3, 2, 1)
    with torch.no_grad():
        layer.weight[0], layer.weight[1] = 1.0, -0.5
        layer.bias[:] = 0.25
    assert layer.largest_sum(input_limit=2.0) == (3 * 2 + 0.25) * 1024


def test_exact_weights_are_fixed_point_and_take_gradients():
    layer = exact.ExactConv2d(4, 4, 3)
    out = exact.activate(layer(torch.rand(1, 4, 5, 5)))
    out.sum().backward()
    assert torch.equal(out * 16, (out * 16).round())
    assert out.min() >= 0
    assert out.max() <= 255 / 16
    assert layer.weight.grad.abs().sum() > 0


def test_linear_path_starts_orthonormal():
    stem, down = analysis_matrices(48, 40)
    for rows in (stem, down):
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)
    for basis in (cosine_basis(8), colour_rotation()):
        assert torch.allclose(basis @ basis.T, torch.eye(len(basis), dtype=torch.float64), atol=1e-12)


def test_untrained_network_restores_smooth_pictures():
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    ramp = torch.linspace(0.1, 0.9, 64)
    image = torch.stack([ramp[:, None] * ramp, ramp[None] * torch.ones(64, 1), ramp[:, None] * torch.ones(1, 64)])[None]
    with torch.no_grad():
        error = (network.decode(network.encode(image)) - image).square().mean()
    assert 10 * math.log10(1 / error.item()) > 33  # a random initialisation is below 15


def test_checkerboard_starts_in_the_corner():
    board = hyperprior.checkerboard(torch.zeros(1, 3, 8, 8))
    assert board.shape == (1, 1, 8, 8)
    assert board[0, 0, 0, 0] == 1
    assert board[0, 0, 0, 1] == 0
    assert board.sum() == 32


def test_steps_fall_with_quality_and_match_the_levels(model):
    steps = model.steps_for_quality(100)
    assert steps.shape == (100, CONFIG.latent_channels)
    assert torch.allclose(steps[0], model.log_steps[0].exp())
    assert torch.allclose(steps[99], model.log_steps[-1].exp() / CONFIG.beyond**0.5)
    largest = 99 / (1 + math.log(CONFIG.beyond) / math.log(CONFIG.largest_lambda / CONFIG.smallest_lambda))
    above, below = (steps[round(largest + place)] / model.log_steps[-1].exp() for place in (3, -3))
    assert (above < 1).all()
    assert (below > 1).all()
    untrained = hyperprior.HyperpriorAutoencoder(CONFIG).steps_for_quality(100)
    assert (untrained[1:] < untrained[:-1]).all()


def test_gaussian_bits_integrate_to_one():
    symbols = torch.arange(-60, 61).float()
    for scale in (0.11, 1.0, 7.5):
        total = torch.exp2(-objective.gaussian_bits(symbols, torch.tensor(scale))).sum()
        assert total.item() == pytest.approx(1, abs=1e-5)


def test_gaussian_bits_have_the_entropy_of_the_scale():
    torch.manual_seed(0)
    scale = torch.tensor(5.0)
    bits = objective.gaussian_bits((torch.randn(200_000) * scale).round(), scale).mean()
    assert bits.item() == pytest.approx(0.5 * math.log2(2 * math.pi * math.e * 25), abs=0.02)


def test_the_dead_zone_is_wide_where_symbols_are_rare():
    zones = objective.dead_zones()
    assert zones.shape == (64,)
    assert (zones.diff() <= 0).all()
    assert zones[0].item() == pytest.approx(0.5 + objective.RATE_WORTH / 2 * objective.MOST_SAVED)
    assert zones[-1].item() == pytest.approx(0.5, abs=0.02)
    scale = hyperprior.table_scale(torch.tensor(15.0)).item()
    beyond = [math.erfc(edge / scale / math.sqrt(2)) for edge in (0.5, 1.5)]
    saved = 1 + math.log2((1 - beyond[0]) / (beyond[0] - beyond[1]))
    assert zones[15].item() == pytest.approx(0.5 + objective.RATE_WORTH / 2 * saved, abs=1e-5)


def test_symbols_are_zero_in_the_dead_zone_and_rounded_beyond():
    residual = torch.tensor([-2.6, -0.71, -0.69, 0.2, 0.6, 0.8, 1.5, 2.5], requires_grad=True)
    zone = torch.full_like(residual, 0.7)
    symbols = objective.quantise(residual, zone)
    assert symbols.tolist() == [-3, -1, 0, 0, 0, 1, 2, 2]
    symbols.sum().backward()
    assert residual.grad is not None
    assert residual.grad.tolist() == [1] * 8


def test_bits_are_counted_as_if_the_dead_zone_ended_at_half_a_step():
    residual = torch.tensor([-3.0, -1.5, -0.7, -0.35, 0.35, 0.7, 1.1, 1.5, 2.25])
    found = objective.without_zone(residual, torch.full_like(residual, 0.7))
    assert torch.allclose(found, torch.tensor([-3, -1.5, -0.5, -0.25, 0.25, 0.5, 1.0, 1.5, 2.25]))
    assert torch.equal(objective.without_zone(residual, torch.full_like(residual, 0.5)), residual)


def test_loss_reaches_every_weight_and_rewards_rate(model):
    image = torch.rand(2, 3, 64, 64)
    rate = objective.HyperRate(CONFIG.hyper_channels)
    noise = tuple(torch.rand(shape) - 0.5 for shape in objective.noise_shapes(model, image))
    losses = objective.rate_distortion(model, rate, image, image, torch.tensor([0.2, 0.8]), noise, SQUARED)
    model.zero_grad()
    losses["loss"].backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []
    assert losses["rate_bpp"] > losses["hyper_bpp"] > 0
    low, high = (
        objective.rate_distortion(model, rate, image, image, torch.full((2,), place), noise, SQUARED)
        for place in (0.0, 1.0)
    )
    assert low["rate_bpp"] < high["rate_bpp"]


def test_distortions_of_the_loss_add_up_with_their_weights(model):
    image, position = torch.rand(2, 3, 64, 64), torch.tensor([0.2, 0.8])
    rate = objective.HyperRate(CONFIG.hyper_channels)
    noise = tuple(torch.rand(shape) - 0.5 for shape in objective.noise_shapes(model, image))

    def found(**terms):
        names = {name.replace("_", "-"): weight for name, weight in terms.items()}
        with torch.no_grad():
            return objective.rate_distortion(model, rate, image, image, position, noise, names)

    nothing = found(mse=0.0)["loss"]
    squared, similar, both = found(mse=0.5), found(ms_ssim=0.02), found(mse=0.5, ms_ssim=0.02)
    assert similar["mse_255"] == pytest.approx(float(squared["mse_255"]))
    assert 0 < similar["ms-ssim"] < 1
    assert squared["loss"] > nothing
    assert both["loss"] - nothing == pytest.approx(float(squared["loss"] + similar["loss"] - 2 * nothing), rel=1e-4)


def test_the_target_is_what_should_come_back(model):
    image, position = torch.rand(2, 3, 64, 64), torch.tensor([0.2, 0.8])
    rate = objective.HyperRate(CONFIG.hyper_channels)
    noise = tuple(torch.rand(shape) - 0.5 for shape in objective.noise_shapes(model, image))
    with torch.no_grad():
        same, damaged, other = (
            objective.rate_distortion(model, rate, source, target, position, noise, SQUARED)
            for source, target in ((image, image), (1 - image, image), (image, 1 - image))
        )
    assert damaged["rate_bpp"] != same["rate_bpp"]
    assert other["rate_bpp"] == same["rate_bpp"]
    assert other["mse_255"] > same["mse_255"]


def test_qualities_of_a_batch_lie_far_apart():
    model = hyperprior.HyperpriorAutoencoder(CONFIG)
    seen = []

    def note(network, rate, source, target, position, noise, terms):
        seen.append(position)
        return {"loss": position.sum()}

    goal = Hyperprior(LossConfig(kind="hyperprior"), model)
    goal._rate_distortion = note
    batch = Batch(torch.zeros(4, 3, 64, 64), torch.zeros(4, 3, 64, 64))
    goal(model, batch, StepInfo(7, 100, 0, 0))
    goal(model, batch, StepInfo(7, 100, 0, 4))
    together = torch.cat(seen).sort().values
    assert (together.diff() > 0.04).all()
    assert together[0] >= 0
    assert together[-1] < 1
