import re

import pytest
import torch

from aeedge.models.conv import ConvAutoencoder
from aeedge.training import validation
from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.run.logbook import read_metrics
from aeedge.training.validation import DEAD, held_out_numbers
from aeedge_runtime.errors import AeedgeError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


def test_validation_is_not_compiled(tmp_path, monkeypatch, config):
    calls = []

    def compiled(self, **_):
        self._compiled_call_impl = lambda *words: calls.append(torch.is_grad_enabled()) or self.forward(*words)

    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    train(config(), tmp_path / "run", hardware=Hardware(accelerator="cpu", compile=True))
    assert calls == [True] * 9


@pytest.mark.parametrize("base", ["conv", "hyperprior"])
def test_rate_is_reported(tmp_path, base, config):
    train(config(base), tmp_path / "run", hardware=CPU)
    row = read_metrics(tmp_path / "run" / "metrics.csv")[0]
    assert row["val_rate_bpp"] > 0


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_held_out_samples_count_alike_whatever_the_number_of_processes(processes):
    for count in range(1, 12):
        shares = [held_out_numbers(rank, processes, count) for rank in range(processes)]
        assert all(shares)
        assert len({sum(share.count(image) for share in shares) for image in range(count)}) == 1


def test_a_network_whose_latents_are_constant_ends_the_run(tmp_path, monkeypatch, config):
    monkeypatch.setattr(ConvAutoencoder, "encode", lambda self, image: self.encoder(image) * 0)
    train(config("conv"), tmp_path / "short", hardware=CPU)  # too early to tell
    monkeypatch.setattr(validation, "FIRST_JUDGED", 1)
    with pytest.raises(AeedgeError, match=re.escape(DEAD)):
        train(config("conv"), tmp_path / "run", hardware=CPU)
    assert not (tmp_path / "run" / "checkpoints" / "best.safetensors").exists()
