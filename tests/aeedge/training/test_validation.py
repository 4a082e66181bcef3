import pytest
import torch

from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.run.logbook import read_metrics
from aeedge.training.validation import held_out_places

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
def test_held_out_images_count_alike_whatever_the_number_of_processes(processes):
    for count in range(1, 12):
        shares = [held_out_places(rank, processes, count) for rank in range(processes)]
        assert all(shares)
        assert len({sum(share.count(image) for share in shares) for image in range(count)}) == 1
