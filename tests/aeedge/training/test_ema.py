import pytest
import torch

from aeedge.training.ema import Average

pytestmark = pytest.mark.torch


def test_the_average_starts_fast_and_then_keeps_its_decay():
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = Average(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model, 0)
    assert average.model.weight.item() == pytest.approx(0.9)  # (1 + 0) / (10 + 0) of the old value is kept
    average.update(model, 10_000)
    assert average.model.weight.item() == pytest.approx(0.91)
    assert not average.model.weight.requires_grad


def test_buffers_are_copied():
    model = torch.nn.BatchNorm1d(2)
    average = Average(model, 0.9)
    model.running_mean += 3
    average.update(model, 0)
    assert average.model.running_mean.tolist() == [3, 3]


def test_weights_that_are_not_trained_keep_every_bit():
    model = torch.nn.Linear(2, 1)
    model.weight.requires_grad_(False).copy_(torch.tensor([[-0.0, 0.1]]))
    average = Average(model, 0.9)
    average.update(model, 5)
    assert torch.signbit(average.model.weight).tolist() == [[True, False]]
    assert average.model.weight[0, 1] == model.weight[0, 1]
