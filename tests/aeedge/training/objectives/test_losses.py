import math

import pytest
import torch

from aeedge.training.objectives import losses
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (losses.mse, 0.25),
        (losses.l1, 0.5),
        (losses.huber, 0.1 * (0.5 - 0.05)),
        (losses.bce, -(0.25 * math.log(0.75) + 0.75 * math.log(0.25))),
    ],
)
def test_distortions_of_constants(loss, value):
    image, target = torch.full((2, 3, 4, 5), 0.75), torch.full((2, 3, 4, 5), 0.25)
    torch.testing.assert_close(loss(image, target), torch.full((2,), value))


def test_bce_of_nan_is_nan_and_changes_nothing_else():
    image = torch.full((2, 1, 2, 2), 0.75, requires_grad=True)
    target = torch.full((2, 1, 2, 2), 0.25)
    plain = torch.nn.functional.binary_cross_entropy(image, target, reduction="none").flatten(1).mean(1)
    assert torch.equal(losses.bce(image, target), plain)
    gradients = [torch.autograd.grad(value.sum(), image)[0] for value in (losses.bce(image, target), plain)]
    assert torch.equal(*gradients)
    broken = image.detach().clone()
    broken[1, 0, 0, 0] = math.nan
    assert losses.bce(broken, target).isnan().tolist() == [False, True]


def test_huber_is_squared_near_zero():
    image = torch.full((1, 1, 2, 2), 0.04)
    torch.testing.assert_close(losses.huber(image, torch.zeros_like(image)), torch.tensor([0.04**2 / 2]))


@pytest.mark.parametrize("size", [16, 64, 200])
def test_ms_ssim_is_zero_for_equal_images_and_grows(size):
    image = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    assert losses.ms_ssim(image, image).abs().max() < 1e-5
    near, far = (losses.ms_ssim(image + scale * noise, image) for scale in (0.02, 0.2))
    assert (near > 1e-5).all()
    assert (far > near).all()


def test_ms_ssim_agrees_with_torchmetrics():
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as reference

    image = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    other = (image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    ours = 1 - losses.ms_ssim(other, image).mean()
    assert float(ours) == pytest.approx(float(reference(other, image, data_range=1.0)), abs=2e-3)


def test_ms_ssim_refuses_tiny_images():
    with pytest.raises(ArgumentError, match="at least 11"):
        losses.ms_ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))


def test_kl_closed_form():
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4)]])
    expected = 0.5 * (1 + 0) + 0.5 * (4 - 1 - math.log(4))
    assert losses.kl_normal(mean, log_variance).item() == pytest.approx(expected)
    assert losses.kl_normal(torch.zeros(1, 2), torch.zeros(1, 2)).item() == 0


def test_free_bits_stop_the_gradient_of_small_dimensions():
    mean = torch.tensor([[0.1, 3.0], [-0.1, 3.0]], requires_grad=True)
    divergence = losses.kl_normal(mean, torch.zeros(2, 2), free_bits=0.5)
    divergence.mean().backward()
    assert divergence.mean().item() == pytest.approx(0.5 + 4.5)
    assert mean.grad[:, 0].abs().max() == 0
    assert mean.grad[:, 1].abs().min() > 0


def test_kl_warm_up():
    assert [losses.warm(step, 4) for step in (0, 1, 3, 9, -1)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert losses.warm(0, 0) == 1.0


def test_mixture_names_the_nearest_loss():
    with pytest.raises(ArgumentError, match='did you mean "mse"'):
        losses.mixture(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), {"msee": 1.0})
