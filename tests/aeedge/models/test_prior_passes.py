from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from aeedge.models import exact_prior, hyperprior  # noqa: E402

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


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 12), (1, 2)])
def test_passes_predict_what_the_dense_prior_predicts(model, height, width):
    generator = torch.Generator().manual_seed(height)
    sizes = (2, CONFIG.hyper_channels, -(-height // 4), -(-width // 4)), (2, OWN, height, width)
    hyper, symbols = (torch.randint(-9, 9, size, generator=generator).float() for size in sizes)
    board, empty = exact_prior.checkerboard(symbols), torch.zeros_like(symbols)
    even, odd = (torch.from_numpy(np.flatnonzero(board[0, 0].numpy() == color)) for color in (1, 0))
    first, second, *_ = model.exact_prior.prior_passes()
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
    first, _, *later = model.exact_prior.prior_passes()
    assert len(later) == len(CONFIG.groups) - 1
    with torch.no_grad():
        _, _, *features = first(hyper, torch.ones_like(symbols[:, :1]), torch.arange(45))
        shared = model.prior.features(hyper, (5, 9))
        for number, (seen, group) in enumerate(CONFIG.prior.later_groups(), 1):
            index, mean = later[number - 1](*features, symbols[:, :seen], latent[:, :seen])
            expected = model.prior.later_group(number, shared, symbols[:, :seen], latent[:, :seen])
            assert index.dtype == torch.uint8
            assert index.shape == (2, group, 5, 9)
            assert torch.equal(index.float(), expected[0])
            torch.testing.assert_close(mean, expected[1], atol=1e-5, rtol=0)


def test_one_group_has_two_passes():
    one = hyperprior.HyperpriorAutoencoder(replace(CONFIG, groups=(40,)))
    assert len(one.exact_prior.prior_passes()) == 2
