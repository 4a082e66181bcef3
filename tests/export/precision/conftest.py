import numpy as np
import pytest
from chains import graph_of


@pytest.fixture
def chain():
    rng = np.random.default_rng(1)
    model = graph_of(8, 32, 32, 16)
    return model, [{"x": rng.normal(0, 1, (1, 8, 12, 12)).astype(np.float32)} for _ in range(3)]
