import pytest
import torch

from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.run import state
from aeedge.training.run.checkpoint import Counters, read_checkpoint, write_checkpoint
from aeedge.training.run.folder import checkpoint_path
from aeedge_runtime.errors import InputError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


def test_resume_keeps_the_best(tmp_path, config):
    train(config(), tmp_path / "run", hardware=CPU)
    best = checkpoint_path(tmp_path / "run", "best")
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    lucky = Counters.from_dict({**counters.to_dict(), "best_loss": 0.0, "best_step": 1})
    write_checkpoint(checkpoint_path(tmp_path / "run", "last"), tensors, lucky)
    before = best.read_bytes()
    train(config(max_steps=15), tmp_path / "run", hardware=CPU, resume=True)
    assert best.read_bytes() == before


def test_a_checkpoint_is_written_when_the_last_is_old(tmp_path, monkeypatch, config, kill_at):
    monkeypatch.setattr(state, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(kill_at.killed):
        train(config(validate_steps=100), tmp_path / "run", hardware=CPU, reporter=kill_at(5))
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 4


def test_optimizer_state_of_another_network(tmp_path, config):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    for name in ("99.x", "x.99"):
        more = tensors | {f"optimizer.{name}": torch.ones(1)}
        write_checkpoint(checkpoint_path(tmp_path / "run", "last"), more, counters)
        with pytest.raises(InputError, match=rf"found optimizer\.{name}"):
            train(config(max_steps=2), tmp_path / "run", hardware=CPU, resume=True)
