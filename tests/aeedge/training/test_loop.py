import json
import re

import pytest
import torch
from safetensors.torch import load_file

from aeedge.training import engine
from aeedge.training.config import RunConfig
from aeedge.training.hardware import Hardware
from aeedge.training.initial import initial_weights
from aeedge.training.loop import train
from aeedge.training.reporting.reporter import Silent
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, set_aside, write_config
from aeedge_runtime.errors import AeedgeError, ArgumentError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(engine, "save_curves", lambda run: None)


def config(**training):
    return RunConfig.from_dict(
        {
            "model": {"family": "dense", "hidden": [16], "latent": 8},
            "data": {"source": "synthetic", "count": 96, "held_out": 0.2},
            "training": {"max_steps": 6, "batch_size": 16, "validate_steps": 3, **training},
        }
    )


def changed(settings, key, value):
    values = settings.to_dict()
    *parents, last = key.split(".")
    place = values
    for name in parents:
        place = place[name]
    place[last] = value
    return RunConfig.from_dict(values)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Killed(BaseException):
    pass


class KilledAtStart:
    """A reporter that ends the process's work before the first step without any farewell, as SIGKILL would."""

    def start(self, *_):
        raise Killed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.latent", 10),
        ("training.seed", 9),
        ("training.batch_size", 8),
        ("training.ema_decay", 0.9),
        ("training.optimizer.name", "sgd"),
        ("training.loss.kind", "rate-distortion"),
        ("training.loss.terms", {"l1": 1.0}),
        ("data.held_out", 0.4),
        ("training.max_steps", 3),
    ],
)
def test_a_refused_resume_changes_nothing(tmp_path, key, value):
    run, settings = tmp_path / "run", config()
    train(settings, run, hardware=CPU)
    before = content(run)
    with pytest.raises(ArgumentError, match=key):
        train(changed(settings, key, value), run, hardware=CPU, resume=True)
    assert content(run) == before
    assert train(changed(settings, "training.max_steps", 9), run, hardware=CPU, resume=True) == "finished"


def test_what_a_resumed_run_may_change(tmp_path):
    run, settings = tmp_path / "run", config()
    train(settings, run, hardware=CPU)
    for key, value in {
        "training.max_steps": 8,
        "training.validate_steps": 2,
        "training.checkpoint_steps": 1,
        "training.patience": 7,
        "training.optimizer.learning_rate": 1e-4,
    }.items():
        settings = changed(settings, key, value)
    train(settings, run, hardware=CPU, resume=True)
    assert read_checkpoint(checkpoint_path(run, "last"))[1].step == 8


def test_weights_to_start_from_survive_a_kill_before_the_first_checkpoint(tmp_path):
    train(config(seed=1), tmp_path / "first", hardware=CPU)
    start = initial_weights(tmp_path / "first")
    train(config(), tmp_path / "whole", hardware=CPU, weights=start)
    with pytest.raises(Killed):
        train(config(), tmp_path / "pieces", hardware=CPU, weights=start, reporter=KilledAtStart())
    train(config(), tmp_path / "pieces", hardware=CPU, resume=True)
    whole, pieces = (load_file(checkpoint_path(tmp_path / name, "last")) for name in ("whole", "pieces"))
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_a_run_that_cannot_take_a_step_replaces_nothing(tmp_path, monkeypatch):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)

    def fails(*_):
        raise RuntimeError("no step")

    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "_gradients", fails)
        with pytest.raises(RuntimeError, match="no step"):
            train(config(seed=1), run, hardware=CPU, force=True)
    assert content(run) == before
    wild = config(optimizer={"name": "sgd", "learning_rate": 1e30})
    with pytest.raises(AeedgeError, match=r"became .* at step"):
        train(wild, run, hardware=CPU, force=True)
    assert not (run / ".replaced").exists()


def test_the_batch_that_failed_at_once_is_kept_beside_the_run_that_was_to_be_replaced(tmp_path, monkeypatch):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)
    monkeypatch.setattr(engine.math, "isfinite", lambda value: False)
    with pytest.raises(AeedgeError, match="at step 0"):
        train(config(), run, hardware=CPU, force=True)
    after = content(run)
    assert before.items() <= after.items()
    assert {path.parts[0] for path in after.keys() - before.keys()} == {"non-finite"}


def test_a_replacement_killed_while_files_moved_is_undone_by_resuming(tmp_path):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)
    (run / ".moving").mkdir()
    (run / "config.json").rename(run / ".moving" / "config.json")
    assert train(config(), run, hardware=CPU, resume=True) == "finished"
    assert content(run) == before


class FailsIn(Silent):
    """Lets one of several spawned processes find a loss that is not finite; it gets there with the reporter."""

    def __init__(self, rank):
        self.rank = rank

    def __setstate__(self, state):
        gradients = engine.Engine._gradients

        def fails(self, step, batches):
            parts, failed = gradients(self, step, batches)
            if step == 4 and self.fabric.global_rank == state["rank"]:
                failed = engine._Failed(torch.inf, batches[0])
            return parts, failed

        engine.Engine._gradients = fails


@pytest.mark.parametrize("rank", [0, 1])
def test_a_loss_that_is_not_finite_in_one_process_ends_both_in_order(tmp_path, rank):
    two = Hardware(accelerator="cpu", devices=2, strategy="ddp_spawn")
    expected = "became inf at step 4; the batch is in" if rank == 0 else "not finite at step 4 in another process"
    with pytest.raises(AeedgeError, match=expected):
        train(config(), tmp_path / "run", hardware=two, reporter=FailsIn(rank))
    kept = [path.name for path in (tmp_path / "run" / "non-finite").glob("*.safetensors")]
    assert kept == [f"step-4-process-{rank}.safetensors"]
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 3


@pytest.mark.parametrize("configured", [False, True])
def test_a_run_killed_before_its_first_step_gives_way_to_the_one_before_and_the_next(tmp_path, monkeypatch, configured):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)
    set_aside(run)  # what a run that is killed now has done
    if configured:
        write_config(run, config(seed=1))
    with pytest.raises(AeedgeError, match="found a run in it"):
        train(config(seed=2), run, hardware=CPU)
    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "_gradients", lambda *_: pytest.fail("no step"))
        with pytest.raises(pytest.fail.Exception):
            train(config(seed=2), run, hardware=CPU, force=True)
    assert content(run) == before
    train(config(seed=2), run, hardware=CPU, force=True)
    assert not (run / ".replaced").exists()
    assert json.loads((run / "config.json").read_text())["training"]["seed"] == 2


@pytest.mark.parametrize("text", ['{"model_type": "bert"}', "[]", "{", "null", "[" * 100_000])
def test_a_folder_with_a_config_of_something_else_is_no_run(tmp_path, text):
    other = tmp_path / "other"
    (other / "checkpoints").mkdir(parents=True)
    (other / "config.json").write_text(text)
    (other / "checkpoints" / "model.bin").write_bytes(b"weights")
    before = content(other)
    with pytest.raises(ArgumentError, match="found other files"):
        train(config(), other, hardware=CPU, force=True)
    assert content(other) == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nodes": 0}, "nodes: found 0, expected at least 1"),
        ({"devices": 0}, 'devices: found "0"'),
        ({"strategy": "dpp"}, 'did you mean "ddp"'),
        ({"accelerator": "gpu"}, 'accelerator: found "gpu"'),
    ],
)
def test_hardware_that_cannot_be_is_refused(values, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        Hardware(**values)
