import numpy as np
import pytest

torch = pytest.importorskip("torch")
from aeedge.models import exact, exact_prior, hyperprior  # noqa: E402

pytestmark = pytest.mark.torch

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
        weight, bias = layer.quantized()
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
            for number, (seen, _) in enumerate(CONFIG.prior.later_groups(), 1):
                found.append(prior.later_group(number, features, *[floats[:, :seen]] * 2)[0])
    finally:
        torch.set_num_threads(before)
    whole = oracle.features(hyper, (height, width))
    expected = [oracle.first_group(whole, symbols[:, :OWN], known)]
    expected += [
        oracle.later_group(number, whole, symbols[:, :seen])
        for number, (seen, _) in enumerate(CONFIG.prior.later_groups(), 1)
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours.numpy().astype(np.int64), theirs)
        assert theirs.min() < theirs.max()


def test_partial_sums_stay_exact(model):
    assert model.prior.scale.largest_sum() < exact.EXACT_UNITS


def test_checkerboard_starts_in_the_corner():
    board = exact_prior.checkerboard(torch.zeros(1, 3, 8, 8))
    assert board.shape == (1, 1, 8, 8)
    assert board[0, 0, 0, 0] == 1
    assert board[0, 0, 0, 1] == 0
    assert board.sum() == 32
