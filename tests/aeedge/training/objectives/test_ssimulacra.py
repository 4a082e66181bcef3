"""The differentiable SSIMULACRA2."""

import pytest
import torch
from PIL import Image

from aeedge.training.data import synthetic
from aeedge.training.objectives.losses import DISTORTIONS
from aeedge.training.objectives.ssimulacra import score, ssimulacra

pytestmark = pytest.mark.torch


def scene(index=1):
    return torch.from_numpy(synthetic.photo(3, index)).permute(2, 0, 1)[None] / 255


def test_equal_images_are_at_zero():
    image = scene()
    assert ssimulacra(image, image).item() < 0.05
    assert score(torch.zeros(1)).item() == 100
    assert DISTORTIONS["ssimulacra"] is ssimulacra


def test_it_grows_and_has_gradients_everywhere():
    target = torch.cat([scene(), torch.zeros(1, 3, 320, 320)])
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    near, far = (ssimulacra(target + scale * noise, target) for scale in (0.01, 0.1))
    assert (far > 4 * near).all()
    for image in (target, target + 0.1 * noise):
        image = image.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(ssimulacra(image, target).sum(), image)
        assert gradient.isfinite().all()
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0


def test_luma_counts_more_than_chroma():
    target = scene()
    noise = 0.03 * torch.randn(1, 1, 320, 320, generator=torch.Generator().manual_seed(1))
    gray = ssimulacra(target + noise, target)
    colored = ssimulacra(target + noise * torch.tensor([1.0, -0.51, 0.0])[None, :, None, None], target)
    assert gray > 2 * colored


@pytest.mark.parametrize("size", [8, 40, 64])
def test_small_images_have_fewer_scales(size):
    image = scene()[:, :, :size, :size]
    assert ssimulacra(image + 0.05, image).item() > 1e-3


def test_the_score_agrees_with_the_reference(tmp_path):
    reference = pytest.importorskip("ssimulacra2")
    places = [tmp_path / name for name in ("original.png", "decoded.png")]
    target = scene()
    for strength in (0.01, 0.03, 0.1):
        noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
        pair = [(image.clamp(0, 1) * 255).round().byte() for image in (target, target + strength * noise)]
        for image, place in zip(pair, places, strict=True):
            Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(place)
        found = score(ssimulacra(pair[1] / 255, pair[0] / 255)).item()
        assert found == pytest.approx(reference.compute_ssimulacra2(*map(str, places)), abs=4)
