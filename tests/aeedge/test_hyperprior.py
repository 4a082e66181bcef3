"""The flagship network, its exact branch and its objective."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from aeedge.models import exact, hyperprior  # noqa: E402
from aeedge.models.orthonormal import analysis_matrices, colour_rotation, cosine_basis  # noqa: E402
from aeedge.training import rate_distortion as objective  # noqa: E402
from aeedge.training.batches import Batch, StepInfo  # noqa: E402
from aeedge.training.objectives import Hyperprior  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = hyperprior.HyperpriorConfig(
    width=48, latent_channels=40, hidden=16, decoder_hidden=16, hyper_channels=8, encoder_blocks=(1, 1), levels=4
)


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
        self.layers = {name: self.integers(layer) for name, layer in branch.named_children()}

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

    def __call__(self, hyper_symbols, context_symbols, known):
        height, width = known.shape[2:]
        value = np.clip(hyper_symbols, -127, 127) * 4
        value = self.shuffle(self.activate(self.layer("first", value)))
        value = self.shuffle(self.activate(self.layer("second", value)))[:, :, :height, :width]
        context = self.activate(self.layer("context_mix", np.minimum(np.abs(context_symbols), 15) * 16))
        context = self.activate(self.layer("context", context))
        value = self.activate(self.layer("trunk", np.concatenate([value, context, known * 16], axis=1)))
        return np.clip(self.layer("index", value) * 4 >> 10, 0, 63)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 12), (1, 1)])
def test_scale_branch_equals_int64_arithmetic(model, height, width, threads):
    generator = np.random.default_rng(height * 100 + width)
    hyper = generator.integers(-200, 200, (2, CONFIG.hyper_channels, -(-height // 4), -(-width // 4)))
    context = generator.integers(-40, 40, (2, CONFIG.latent_channels, height, width))
    known = generator.integers(0, 2, (2, 1, height, width))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            index = model.prior.scale(*(torch.from_numpy(values).float() for values in (hyper, context, known)))
    finally:
        torch.set_num_threads(before)
    expected = IntegerScaleBranch(model.prior.scale)(hyper, context, known)
    assert np.array_equal(index.numpy().astype(np.int64), expected)
    assert expected.min() < expected.max()


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 12), (1, 2)])
def test_passes_predict_what_the_dense_prior_predicts(model, height, width):
    generator = torch.Generator().manual_seed(height)
    sizes = (2, CONFIG.hyper_channels, -(-height // 4), -(-width // 4)), (2, CONFIG.latent_channels, height, width)
    hyper, symbols = (torch.randint(-9, 9, size, generator=generator).float() for size in sizes)
    board, empty = hyperprior.checkerboard(symbols), torch.zeros_like(symbols)
    even, odd = (torch.from_numpy(np.flatnonzero(board[0, 0].numpy() == colour)) for colour in (1, 0))
    first, second = model.prior_passes()
    with torch.no_grad():
        index, mean, *features = first(hyper, torch.ones_like(board), even)
        expected = model.prior(hyper, empty, empty, empty[:, :1])
        for ours, theirs in zip((index, mean), expected, strict=True):
            torch.testing.assert_close(ours[:, :, 0].float(), theirs.flatten(2)[:, :, even], atol=1e-5, rtol=0)
        known = symbols.flatten(2)[:, :, even][:, :, None]
        place = torch.full((height * width,), len(even))
        place[even] = torch.arange(len(even))
        found = second(*features, known, known + mean, place.reshape(height, width), odd)
        latent = torch.zeros_like(symbols).flatten(2)
        latent[:, :, even] = (known + mean)[:, :, 0]
        expected = model.prior(hyper, symbols * board, latent.reshape(symbols.shape), board)
    assert found[0].dtype == torch.uint8
    assert torch.equal(found[0][:, :, 0].float(), expected[0].flatten(2)[:, :, odd])
    torch.testing.assert_close(found[1][:, :, 0], expected[1].flatten(2)[:, :, odd], atol=1e-5, rtol=0)


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
    assert torch.allclose(steps[99], model.log_steps[-1].exp())
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


def test_loss_reaches_every_weight_and_rewards_rate(model):
    image = torch.rand(2, 3, 64, 64)
    rate = objective.HyperRate(CONFIG.hyper_channels)
    noise = tuple(torch.rand(shape) - 0.5 for shape in objective.noise_shapes(model, image))
    losses = objective.rate_distortion(model, rate, image, torch.tensor([0.2, 0.8]), noise)
    model.zero_grad()
    losses["loss"].backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []
    assert losses["rate_bpp"] > losses["hyper_bpp"] > 0
    low, high = (objective.rate_distortion(model, rate, image, torch.full((2,), place), noise) for place in (0.0, 1.0))
    assert low["rate_bpp"] < high["rate_bpp"]


def test_qualities_of_a_batch_lie_far_apart():
    model = hyperprior.HyperpriorAutoencoder(CONFIG)
    seen = []

    def note(network, rate, image, position, noise):
        seen.append(position)
        return {"loss": position.sum()}

    goal = Hyperprior(model)
    goal._rate_distortion = note
    batch = Batch(torch.zeros(4, 3, 64, 64), torch.zeros(4, 3, 64, 64))
    goal(model, batch, StepInfo(7, 100, 0, 0))
    goal(model, batch, StepInfo(7, 100, 0, 4))
    together = torch.cat(seen).sort().values
    assert (together.diff() > 0.04).all()
    assert together[0] >= 0
    assert together[-1] < 1
