import numpy as np
import pytest
import tiny_networks as tiny

from aeedge_export import adapt
from aeedge_export.networks.checks import reconstruction_psnr, sees_whole_image

pytestmark = pytest.mark.torch

IMAGE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)


@pytest.mark.parametrize(("network", "whole"), [(tiny.Methods, False), (tiny.Normalized, True), (tiny.Digits, False)])
def test_only_a_network_with_global_statistics_sees_the_whole_image(network, whole):
    image = IMAGE if network is not tiny.Digits else IMAGE[..., :1]
    half_dark = image.copy()
    half_dark[:, :128] //= 8
    assert sees_whole_image(adapt(network()), half_dark) is whole


def test_a_network_that_loses_nothing_has_the_highest_psnr():
    class Same(tiny.Methods):
        def encode(self, image):
            return image[:, :, ::1, ::1]

        def decode(self, latent):
            return latent * 1.0

    assert reconstruction_psnr(adapt(Same()), [IMAGE[:64, :64]]) == 100
