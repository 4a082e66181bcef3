import math

import pytest
import torch

from aeedge.training.objectives.factorized import FactorizedDensity, interval_bits

pytestmark = pytest.mark.torch


def test_interval_bits_of_one_logistic():
    value, width = torch.tensor([0.3, -5.0, 2.0]).reshape(1, 3, 1, 1), torch.full((1, 1, 1, 1), 0.5)
    bits = interval_bits(value, width, torch.zeros(1, 3), torch.full((1, 3), 0.1), torch.full((1, 3), math.log(0.7)))

    def cumulative(place):
        return 1 / (1 + math.exp(-(place - 0.1) / 0.7))

    expected = [-math.log2(cumulative(v + 0.25) - cumulative(v - 0.25)) for v in (0.3, -5.0, 2.0)]
    assert bits.flatten().tolist() == pytest.approx(expected, rel=1e-4)


def test_density_is_a_density():
    density = FactorizedDensity(2)
    places = torch.arange(-400, 401, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 2, 1, 1)
    mass = torch.exp2(-density(places, torch.ones(1, 1, 1, 1))).sum(0).flatten()
    assert mass.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
