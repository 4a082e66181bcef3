import pytest
import torch
from torch._dynamo.testing import CompileCounter

from aeedge.models import build_model
from aeedge.training.data.batches import Batch, StepInfo
from aeedge.training.objectives.base import build_objective

pytestmark = pytest.mark.torch


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch.compile's own, where a graph breaks
@pytest.mark.parametrize("base", ["vae", "conv"])
def test_steps_are_compiled_once(base, config):
    settings = config(base)
    model = build_model(settings.model)
    objective = build_objective(settings.training.loss, model)
    counter = CompileCounter()
    torch.compiler.reset()
    objective.compile(backend=counter, dynamic=False)
    target = torch.rand(4, model.channels, 28, 28) if base == "vae" else torch.rand(4, 3, 32, 48)
    counts = []
    for step in range(4):
        objective(model, Batch(target, target), StepInfo(step, 9, 0, 0))["loss"].backward()
        counts.append(counter.frame_count)
    torch.compiler.reset()
    assert counts[0] > 0
    assert counts == counts[:1] * 4
