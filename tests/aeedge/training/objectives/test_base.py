import pytest
import torch
from torch._dynamo.testing import CompileCounter

from aeedge.models import build_model, hyperprior
from aeedge.training.config import LossConfig
from aeedge.training.data.batches import Batch, StepInfo
from aeedge.training.objectives.base import Hyperprior, build_objective

pytestmark = pytest.mark.torch


CONFIG = hyperprior.HyperpriorConfig(
    width=48,
    latent_channels=40,
    hidden=16,
    decoder_hidden=16,
    hyper_channels=8,
    encoder_blocks=(1, 1),
    levels=4,
    groups=(12, 10, 18),
    group_hidden=(16, 20),
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = hyperprior.HyperpriorAutoencoder(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


def test_qualities_of_a_batch_lie_far_apart():
    model = hyperprior.HyperpriorAutoencoder(CONFIG)
    seen = []

    def note(network, rate, source, target, position, noise, terms):
        seen.append(position)
        return {"loss": position.sum()}

    goal = Hyperprior(LossConfig(kind="hyperprior"), model)
    goal._rate_distortion = note
    batch = Batch(torch.zeros(4, 3, 64, 64), torch.zeros(4, 3, 64, 64))
    goal(model, batch, StepInfo(7, 100, 0, 0))
    goal(model, batch, StepInfo(7, 100, 0, 4))
    together = torch.cat(seen).sort().values
    assert (together.diff() > 0.04).all()
    assert together[0] >= 0
    assert together[-1] < 1


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
