import pytest
import torch

from aeedge.models import build_model

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def test_conv_starts_as_an_orthonormal_transform():
    model = build_model({"family": "conv", "width": 192, "latent": 768})
    image = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(model(image), image, atol=1e-4, rtol=0)
