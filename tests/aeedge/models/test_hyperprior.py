"""The flagship network, its exact branch and its objective."""

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from aeedge.models import hyperprior  # noqa: E402
from aeedge_runtime import ArgumentError  # noqa: E402

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


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("groups", [(), (40, 0), (12, 10)])
def test_groups_cover_the_latent_channels(groups):
    with pytest.raises(ArgumentError, match=r"model\.groups: found .* 40 latent channels"):
        replace(CONFIG, groups=groups)


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


@pytest.mark.parametrize("width", [0, 49])
def test_a_decoder_is_at_most_as_wide_as_the_encoder(width):
    with pytest.raises(ArgumentError, match=r"model\.decoder_width"):
        replace(CONFIG, decoder_width=width)


def test_a_narrow_decoder_starts_with_the_lowest_frequencies():
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(2, 3, 4, 4), size=(64, 64), mode="bicubic").clamp(0, 1)
    errors = []
    for width in (24, 36, None):
        network = hyperprior.HyperpriorAutoencoder(replace(CONFIG, decoder_width=width))
        decoded = network.decode(network.encode(images)).detach()
        assert decoded.shape == images.shape
        errors.append(float((decoded - images).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.01
