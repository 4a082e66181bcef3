import numpy as np
import pytest
import torch

from aeedge.models.exact_prior import ExactPrior, PriorConfig
from aeedge_export.prior.fit import LEARNING_RATE, factorized_bits, fit, learning_rate, sample_side

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("sides", "expected"),
    [([(40, 60)], 32), ([(13, 60), (40, 40), (40, 40), (40, 40)], 32), ([(13, 9)], 8), ([(3, 3)], 3)],
)
def test_samples_are_whole_hyper_positions_that_most_images_have(sides, expected):
    assert sample_side([torch.zeros(2, *side) for side in sides]) == expected


def test_the_learning_rate_rises_stays_and_falls_by_steps():
    rates = [learning_rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(LEARNING_RATE / 100)
    assert rates[300] == rates[599] == LEARNING_RATE
    assert rates[800] == pytest.approx(LEARNING_RATE / 2)
    assert 0 < rates[-1] < LEARNING_RATE / 100


def test_bits_of_one_table_per_channel_are_the_entropy():
    latent = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (2, 64, 64)).astype(np.float32))
    bits = factorized_bits([latent], np.ones((100, 2), np.float32))
    assert bits.shape == (100,)
    assert bits[0].item() == pytest.approx(4, abs=0.01)


def fitted(seed):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = ExactPrior(PriorConfig(2, 4, 2, (2,), (4, 4)))
    latents = [torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(number)) for number in range(3)]
    fit(prior, latents, np.ones((100, 2), np.float32), 3, seed, lambda line: None)
    return torch.cat([parameter.detach().flatten() for parameter in prior.parameters()])


def test_equal_seeds_give_equal_priors_and_others_do_not():
    first = fitted(1)
    assert torch.equal(first, fitted(1))
    assert not torch.equal(first, fitted(2))
