import math

import pytest

torch = pytest.importorskip("torch")
from aeedge.models import hyperprior  # noqa: E402

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


def test_untrained_network_restores_smooth_pictures():
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    ramp = torch.linspace(0.1, 0.9, 64)
    image = torch.stack([ramp[:, None] * ramp, ramp[None] * torch.ones(64, 1), ramp[:, None] * torch.ones(1, 64)])[None]
    with torch.no_grad():
        error = (network.decode(network.encode(image)) - image).square().mean()
    assert 10 * math.log10(1 / error.item()) > 33  # a random initialization is below 15
