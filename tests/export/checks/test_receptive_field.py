"""How far networks see: found by cutting images, not by counting kernels."""

from collections.abc import Callable

import numpy as np
import pytest
import tiny_networks as tiny
import torch
from torch import Tensor, nn
from torch.nn import functional

from aeedge_export import ExportError, adapt
from aeedge_export.checks.receptive_field import FIRST_GUESS, network_reach
from aeedge_export.frozen import double_copy, frozen_copy

pytestmark = pytest.mark.torch

Function = Callable[[Tensor], Tensor]

STRIDE = 4
STEPS = np.full((100, 1), 0.05, np.float32)


class ByHand:
    """A model of one latent channel whose halves are plain functions; without any, means and their repetition."""

    patched = False
    channels = 1
    stride = (STRIDE, STRIDE)

    def __init__(self, latent: Function | None = None, image: Function | None = None) -> None:
        self.latent, self.image = latent or nn.Identity(), image or nn.Identity()

    def parameters(self):
        return iter(())

    def encode(self, image: Tensor) -> Tensor:
        return self.latent(functional.avg_pool2d(image, STRIDE))

    def decode(self, latent: Tensor) -> Tensor:
        return self.image(functional.interpolate(latent, scale_factor=STRIDE))


def photos(count: int = 2, side: int = 96):
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 1), dtype=np.uint8))


def reaching(distance: int, weight: float, axis: int = 2) -> Function:
    """Adds the mean of so many places above or on the left, times a weight; beyond the edge there is nothing."""

    def seen(value: Tensor) -> Tensor:
        kernel = torch.full((1, 1, distance, 1), weight / distance, dtype=value.dtype)
        turned = value if axis == 2 else value.transpose(2, 3)
        above = functional.conv2d(functional.pad(turned, [0, 0, distance, 0])[:, :, :-1], kernel)
        return value + (above if axis == 2 else above.transpose(2, 3))

    return seen


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("distance", [1, 3, FIRST_GUESS, 2 * FIRST_GUESS + 1])
def test_the_reach_of_an_encoder_is_that_of_its_kernel(distance, axis):
    assert network_reach(ByHand(reaching(distance, 0.5, axis)), STEPS, photos()) == distance


@pytest.mark.parametrize("axis", [2, 3])
def test_the_reach_of_a_decoder_is_counted_in_latent_places(axis):
    reach = {pixels: network_reach(ByHand(image=reaching(pixels, 0.2, axis)), STEPS, photos()) for pixels in (1, 4, 5)}
    assert reach == {1: 1, 4: 1, 5: 2}


@pytest.mark.parametrize(("weight", "felt"), [(0.8e-5, False), (1.3e-5, True)])
def test_what_moves_fewer_symbols_than_another_machine_does_is_not_felt(weight, felt):
    # Latents are 1/2 on average, 10 steps: a hundred-thousandth of that moves one symbol in ten thousand.
    assert network_reach(ByHand(reaching(1, weight)), STEPS, photos()) == int(felt)


@pytest.mark.parametrize(("levels", "felt"), [(0.4, False), (0.6, True)])
def test_one_pixel_that_moves_by_a_level_is_felt(levels, felt):
    def corner(value: Tensor) -> Tensor:
        """Marks the first pixel of the last row but seven: in the upper half of an image it is another one."""
        marked = value.clone()
        marked[:, :, -8, 0] = 0.5 + levels / 255
        return marked

    flat = [np.full((96, 96, 1), 128, np.uint8)]
    assert network_reach(ByHand(lambda value: 0 * value + 0.5, corner), STEPS, flat) == (2 if felt else 0)


def test_small_images_are_continued():
    assert network_reach(ByHand(reaching(3, 0.5)), STEPS, photos(2, 10)) == 3


def test_a_network_that_averages_over_the_image_is_refused():
    with pytest.raises(ExportError, match="must not average over the whole image"):
        network_reach(ByHand(lambda value: value - value.mean(dim=(2, 3), keepdim=True)), STEPS, photos())


def test_no_images_are_an_error():
    with pytest.raises(ExportError, match="no images to measure on how far"):
        network_reach(ByHand(), STEPS, [])


def test_families(source):
    assert network_reach(source("dense").model, STEPS, []) == 0
    given = source("conv")
    model = double_copy(frozen_copy(given.model))
    steps = np.full((100, model.latent_channels), 0.05, np.float32)
    assert 1 <= network_reach(model, steps, given.calibration) < FIRST_GUESS


def test_a_network_that_names_float32_in_its_code_is_measured_in_float32():
    torch.manual_seed(0)
    model = double_copy(frozen_copy(adapt(tiny.TakesBytes())))
    assert next(model.parameters()).dtype == torch.float32
    images = [np.tile(image, 3) for image in photos()]
    assert network_reach(model, np.full((100, 4), 0.05, np.float32), images) == 0
