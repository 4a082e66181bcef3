import pytest
import torch

from aeedge.training.config import OptimizerConfig
from aeedge.training.ema import Average
from aeedge.training.optimizers import OPTIMIZERS, build_optimizer, learning_rate
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


def test_cosine_with_warm_up():
    config = OptimizerConfig(learning_rate=2.0, schedule="cosine", warmup_steps=4, final_share=0.1)
    assert [learning_rate(config, step, 104) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert learning_rate(config, 4, 104) == 2.0
    assert learning_rate(config, 54, 104) == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert learning_rate(config, 104, 104) == pytest.approx(0.2)


def test_trapezoid_is_flat_then_falls_in_a_line():
    config = OptimizerConfig(learning_rate=2.0, schedule="trapezoid", warmup_steps=4, decay_share=0.25, final_share=0.1)
    assert [learning_rate(config, step, 100) for step in (0, 3, 4, 74)] == [0.5, 2.0, 2.0, 2.0]
    assert learning_rate(config, 87, 100) == pytest.approx(2 * (0.1 + 0.9 * 13 / 25))
    assert learning_rate(config, 100, 100) == pytest.approx(0.2)


def test_constant():
    assert learning_rate(OptimizerConfig(learning_rate=3.0), 1000, 10) == 3.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends(name):
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = build_optimizer([weight], OptimizerConfig(name=name, learning_rate=0.05))
    for _ in range(50):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    assert abs(weight.item()) < 2


def test_unknown_optimizer_names_the_nearest():
    with pytest.raises(ArgumentError, match='did you mean "adam"'):
        build_optimizer([], OptimizerConfig(name="adamx"))


def test_average_follows_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    average = Average(model, 0.9)
    start = average.model.weight.item()
    with torch.no_grad():
        model.weight.fill_(start + 1)
    average.update(model, 10**6)
    assert average.model.weight.item() == pytest.approx(start + 0.1)
