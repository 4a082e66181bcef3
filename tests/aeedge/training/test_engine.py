import math
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aeedge.training import engine
from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.objectives import losses
from aeedge.training.reporting.display import Display
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, load_run
from aeedge.training.run.logbook import read_metrics
from aeedge.training.stop_request import StopRequest
from aeedge.training.validation import Validator
from aeedge_runtime.errors import AeedgeError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")
STATEFUL = {"ema_decay": 0.9, "clip_norm": 0.5, "corrupt": "gaussian:0.2", "checkpoint_steps": 2, "accumulate": 2}


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_killed_and_resumed_equals_never_stopped(tmp_path, step, config, kill_at):
    settings = config(**STATEFUL)
    train(settings, tmp_path / "whole", hardware=CPU)
    with pytest.raises(kill_at.killed):
        train(settings, tmp_path / "pieces", hardware=CPU, reporter=kill_at(step))
    train(settings, tmp_path / "pieces", hardware=CPU, resume=True)
    for which in ("last", "best"):
        whole, pieces = (checkpoint_path(tmp_path / name, which).read_bytes() for name in ("whole", "pieces"))
        assert whole == pieces
    rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "pieces")]
    for row in (*rows[0], *rows[1]):
        del row["seconds"], row["images_per_second"]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("base", "training"),
    [
        ("dense", {"optimizer": {"name": "sgd", "schedule": "cosine", "warmup_steps": 2}}),
        ("conv", {"ema_decay": 0.9, "channels_last": True, "precision": "bf16-mixed"}),
    ],
)
def test_resume_in_the_middle_of_other_settings(tmp_path, base, training, config, weights, kill_at):
    settings = config(base, checkpoint_steps=1, **training)
    train(settings, tmp_path / "whole", hardware=CPU)
    with pytest.raises(kill_at.killed):
        train(settings, tmp_path / "pieces", hardware=CPU, reporter=kill_at(3))
    train(settings, tmp_path / "pieces", hardware=CPU, resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "pieces"))


@pytest.mark.parametrize("terms", [{"mse": 1.0}, {"mse": 0.1, "l1": 0.02}])
def test_targets_keep_their_precision_whatever_the_network_computes_in(tmp_path, monkeypatch, terms, config):
    seen = []
    mixture = losses.mixture

    def note(image, target, terms):
        seen.append(target)
        return mixture(image, target, terms)

    monkeypatch.setattr(losses, "mixture", note)
    loss = {"kind": "hyperprior", "terms": terms}
    train(config("hyperprior", precision="bf16-mixed", max_steps=1, loss=loss), tmp_path / "run", hardware=CPU)
    assert {target.dtype for target in seen} == {torch.float32}
    levels = torch.cat([target.flatten() for target in seen]) * 255
    assert (levels - levels.round()).abs().max() < 1e-3


def test_training_reduces_the_loss(tmp_path, config):
    train(config(max_steps=80, validate_steps=20), tmp_path / "run", hardware=CPU)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert rows[-1]["val_loss"] < 0.9 * rows[0]["val_loss"]


def test_vae_trains_with_warm_up_and_free_bits(tmp_path, config):
    loss = {"kind": "vae", "terms": {"bce": 1.0}, "reduction": "sum", "kl_warmup_steps": 5, "free_bits": 0.1}
    train(config("vae", loss=loss), tmp_path / "run", hardware=CPU)
    row = read_metrics(tmp_path / "run" / "metrics.csv")[0]
    assert row["val_loss"] == pytest.approx(row["val_bce"] + row["val_kl"], rel=0.2)


def test_accumulation_equals_the_whole_batch(tmp_path, config, weights):
    train(config(max_steps=4), tmp_path / "whole", hardware=CPU)
    train(config(max_steps=4, accumulate=4), tmp_path / "parts", hardware=CPU)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], atol=1e-5, rtol=1e-4)


def test_early_stopping(tmp_path, config):
    stuck = config(max_steps=100, patience=2, optimizer={"name": "sgd", "learning_rate": 1e-30})
    assert "no improvement in 2" in train(stuck, tmp_path / "run", hardware=CPU)
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 9


def test_time_limit_stops_after_a_step_and_can_be_resumed(tmp_path, config):
    assert train(config(), tmp_path / "run", hardware=CPU, stop=StopRequest(1e-9)) == "time is up"
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 1
    assert train(config(), tmp_path / "run", hardware=CPU, resume=True) == "finished"


def test_non_finite_loss_stops_and_keeps_the_batch(tmp_path, config):
    wild = config(checkpoint_steps=1, optimizer={"name": "sgd", "learning_rate": 1e30})
    with pytest.raises(AeedgeError, match=r"became .* at step"):
        train(wild, tmp_path / "run", hardware=CPU)
    saved = list((tmp_path / "run" / "non-finite").glob("*.safetensors"))
    assert load_file(saved[0])["target"].shape == (16, 1, 28, 28)


def test_a_network_that_gives_nan_stops_under_bce_too(tmp_path, config):
    wild = {"name": "sgd", "learning_rate": 1e38}
    settings = config(checkpoint_steps=1, validate_steps=100, loss={"terms": {"bce": 1.0}}, optimizer=wild)
    with pytest.raises(AeedgeError, match="became nan at step"):
        train(settings, tmp_path / "run", hardware=CPU)
    assert list((tmp_path / "run" / "non-finite").glob("*.safetensors"))


def held_out_losses(monkeypatch, *found):
    coming = iter(found)
    measure = Validator.measure
    monkeypatch.setattr(Validator, "measure", lambda *words: measure(*words) | {"loss": next(coming)})


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_held_out_loss_that_is_not_finite_leaves_the_checkpoints_before_it(tmp_path, monkeypatch, wrong, config):
    with monkeypatch.context() as patch:
        held_out_losses(patch, 2.0, 3.0, wrong)
        with pytest.raises(AeedgeError, match=rf"held-out images became {wrong} at step 9; .* lower --learning-rate"):
            train(config(), tmp_path / "run", hardware=CPU)
    steps = {which: read_checkpoint(checkpoint_path(tmp_path / "run", which))[1].step for which in ("best", "last")}
    assert steps == {"best": 3, "last": 6}
    assert math.isfinite(load_run(tmp_path / "run", "last").summary["loss"])
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.csv")] == [3, 6, 9]
    lower = config(optimizer={"name": "adam", "learning_rate": 1e-4})
    assert train(lower, tmp_path / "run", hardware=CPU, resume=True) == "finished"


def test_a_first_held_out_loss_that_is_not_finite_leaves_no_checkpoint(tmp_path, monkeypatch, config):
    held_out_losses(monkeypatch, math.nan)
    with pytest.raises(AeedgeError, match="at step 3; start again with a lower learning rate"):
        train(config(), tmp_path / "run", hardware=CPU)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_gradient_that_is_not_finite_stops_without_clipping_too(tmp_path, monkeypatch, config):
    fit = engine.Engine.fit

    def spoilt(self, stop):
        self.trained[0].register_hook(lambda gradient: gradient * math.nan)
        return fit(self, stop)

    monkeypatch.setattr(engine.Engine, "fit", spoilt)
    with pytest.raises(AeedgeError, match="the loss or its gradient became nan at step 0"):
        train(config(), tmp_path / "run", hardware=CPU)
    assert list((tmp_path / "run" / "non-finite").glob("*.safetensors"))


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path, config, weights):
    settings = config(
        "vae",
        max_steps=6,
        corrupt="mask:0.2",
        clip_norm=5.0,
    )
    train(settings, tmp_path / "one", hardware=CPU)
    two = Hardware(accelerator="cpu", devices=2, strategy="ddp_spawn")
    train(settings, tmp_path / "two", hardware=two, reporter=Display())
    one, other = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(other[name], one[name], atol=2e-5, rtol=1e-3)
    rows = [read_metrics(tmp_path / name / "metrics.csv")[-1] for name in ("one", "two")]
    for name in ("train_loss", "val_loss", "val_psnr_db"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-3)


def test_same_seed_same_bytes_other_seed_other_weights(tmp_path, config):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(max_steps=2, seed=seed), tmp_path / name, hardware=CPU)
    files = [checkpoint_path(tmp_path / name, "last").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]
    shutil.rmtree(tmp_path / "a")


def test_torch_random_state_is_left_alone(tmp_path, config):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the legacy state is what is tested
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    assert torch.equal(torch.rand(3), expected)
