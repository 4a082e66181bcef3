import pytest
import torch

from aeedge.models.vae import reparameterize

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def test_posterior_sample_has_the_encoded_spread():
    mean, log_variance = torch.full((20000, 1, 1, 1), 3.0), torch.full((20000, 1, 1, 1), -2.0)
    sample = reparameterize(mean, log_variance, torch.randn(20000, 1, 1, 1))
    assert sample.mean().item() == pytest.approx(3, abs=0.02)
    assert sample.std().item() == pytest.approx(torch.tensor(-1.0).exp().item(), rel=0.03)
