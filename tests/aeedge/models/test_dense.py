import pytest
import torch

from aeedge.models import build_model

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def test_an_even_kernel_without_convolutions_is_of_no_account():
    model = build_model({"family": "dense", "kernel": 4, "hidden": []})
    assert not any(isinstance(layer, torch.nn.Conv2d) for layer in model.modules())
