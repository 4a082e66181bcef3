import pytest
import torch

from aeedge.models import exact
from aeedge.models.exact import round_through

pytestmark = pytest.mark.torch


def test_largest_sum_counts_weights_inputs_and_bias():
    layer = exact.ExactConv2d(3, 2, 1)
    with torch.no_grad():
        layer.weight[0], layer.weight[1] = 1.0, -0.5
        layer.bias[:] = 0.25
    assert layer.largest_sum(input_limit=2.0) == (3 * 2 + 0.25) * 1024


def test_exact_weights_are_fixed_point_and_take_gradients():
    layer = exact.ExactConv2d(4, 4, 3)
    out = exact.activate(layer(torch.rand(1, 4, 5, 5)))
    out.sum().backward()
    assert torch.equal(out * 16, (out * 16).round())
    assert out.min() >= 0
    assert out.max() <= 255 / 16
    assert layer.weight.grad.abs().sum() > 0


def test_rounding_passes_the_gradient():
    value = torch.tensor([0.4, 1.5, 2.5], requires_grad=True)
    rounded = round_through(value)
    rounded.sum().backward()
    assert rounded.tolist() == [0.0, 2.0, 2.0]
    assert value.grad.tolist() == [1.0, 1.0, 1.0]
