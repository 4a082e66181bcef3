import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from aeedge.models import exact_prior, hyperprior  # noqa: E402
from aeedge.training.objectives import hyperprior as objective  # noqa: E402

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


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


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
    scale = exact_prior.table_scale(torch.tensor(15.0)).item()
    beyond = [math.erfc(edge / scale / math.sqrt(2)) for edge in (0.5, 1.5)]
    saved = 1 + math.log2((1 - beyond[0]) / (beyond[0] - beyond[1]))
    assert zones[15].item() == pytest.approx(0.5 + objective.RATE_WORTH / 2 * saved, abs=1e-5)


def test_symbols_are_zero_in_the_dead_zone_and_rounded_beyond():
    residual = torch.tensor([-2.6, -0.71, -0.69, 0.2, 0.6, 0.8, 1.5, 2.5], requires_grad=True)
    zone = torch.full_like(residual, 0.7)
    symbols = objective.quantize(residual, zone)
    assert symbols.tolist() == [-3, -1, 0, 0, 0, 1, 2, 2]
    symbols.sum().backward()
    assert residual.grad is not None
    assert residual.grad.tolist() == [1] * 8


def test_bits_are_counted_as_if_the_dead_zone_ended_at_half_a_step():
    residual = torch.tensor([-3.0, -1.5, -0.7, -0.35, 0.35, 0.7, 1.1, 1.5, 2.25])
    found = objective.without_zone(residual, torch.full_like(residual, 0.7))
    assert torch.allclose(found, torch.tensor([-3, -1.5, -0.5, -0.25, 0.25, 0.5, 1.0, 1.5, 2.25]))
    assert torch.equal(objective.without_zone(residual, torch.full_like(residual, 0.5)), residual)


@pytest.mark.parametrize("groups", [CONFIG.groups, (CONFIG.latent_channels,)])
def test_loss_reaches_every_weight_and_rewards_rate(groups):
    model = hyperprior.HyperpriorAutoencoder(replace(CONFIG, groups=groups))
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
