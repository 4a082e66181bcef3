import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from aeedge.training import engine
from aeedge.training.config import RunConfig
from aeedge.training.hardware import Hardware
from aeedge.training.initial import initial_weights
from aeedge.training.loop import train
from aeedge.training.reporting.display import Display
from aeedge.training.reporting.reporter import Silent
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, set_aside, write_config
from aeedge_runtime.errors import AeedgeError, ArgumentError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


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
def test_a_refused_resume_changes_nothing(tmp_path, key, value, config):
    run, settings = tmp_path / "run", config()
    train(settings, run, hardware=CPU)
    before = content(run)
    with pytest.raises(ArgumentError, match=key):
        train(changed(settings, key, value), run, hardware=CPU, resume=True)
    assert content(run) == before
    assert train(changed(settings, "training.max_steps", 12), run, hardware=CPU, resume=True) == "finished"


def test_what_a_resumed_run_may_change(tmp_path, config):
    run, settings = tmp_path / "run", config()
    train(settings, run, hardware=CPU)
    for key, value in {
        "training.max_steps": 12,
        "training.validate_steps": 2,
        "training.checkpoint_steps": 1,
        "training.patience": 7,
        "training.optimizer.learning_rate": 1e-4,
    }.items():
        settings = changed(settings, key, value)
    train(settings, run, hardware=CPU, resume=True)
    assert read_checkpoint(checkpoint_path(run, "last"))[1].step == 12


def test_weights_to_start_from_survive_a_kill_before_the_first_checkpoint(tmp_path, config, kill_at):
    train(config(seed=1), tmp_path / "first", hardware=CPU)
    start = initial_weights(tmp_path / "first")
    train(config(), tmp_path / "whole", hardware=CPU, weights=start)
    with pytest.raises(kill_at.killed):
        train(config(), tmp_path / "pieces", hardware=CPU, weights=start, reporter=kill_at(0))
    train(config(), tmp_path / "pieces", hardware=CPU, resume=True)
    whole, pieces = (load_file(checkpoint_path(tmp_path / name, "last")) for name in ("whole", "pieces"))
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_a_run_that_cannot_take_a_step_replaces_nothing(tmp_path, monkeypatch, config):
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


def test_the_batch_that_failed_at_once_is_kept_beside_the_run_that_was_to_be_replaced(tmp_path, monkeypatch, config):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)
    monkeypatch.setattr(engine.math, "isfinite", lambda value: False)
    with pytest.raises(AeedgeError, match="at step 0"):
        train(config(), run, hardware=CPU, force=True)
    after = content(run)
    assert before.items() <= after.items()
    assert {path.parts[0] for path in after.keys() - before.keys()} == {"non-finite"}


def test_a_replacement_killed_while_files_moved_is_undone_by_resuming(tmp_path, config):
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


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_loss_that_is_not_finite_in_one_process_ends_both_in_order(tmp_path, rank, config):
    two = Hardware(accelerator="cpu", devices=2, strategy="ddp_spawn")
    expected = "became inf at step 4; the batch is in" if rank == 0 else "not finite at step 4 in another process"
    with pytest.raises(AeedgeError, match=expected):
        train(config(), tmp_path / "run", hardware=two, reporter=FailsIn(rank))
    kept = [path.name for path in (tmp_path / "run" / "non-finite").glob("*.safetensors")]
    assert kept == [f"step-4-process-{rank}.safetensors"]
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 3


@pytest.mark.parametrize("configured", [False, True])
def test_a_run_killed_before_its_first_step_gives_way_to_its_neighbors(tmp_path, monkeypatch, configured, config):
    run = tmp_path / "run"
    train(config(), run, hardware=CPU)
    before = content(run)
    set_aside(run)  # what a run that is killed now has done
    if configured:
        write_config(run, config(seed=1))
    with pytest.raises(AeedgeError, match="already contains a run"):
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
def test_a_folder_with_a_config_of_something_else_is_no_run(tmp_path, text, config):
    other = tmp_path / "other"
    (other / "checkpoints").mkdir(parents=True)
    (other / "config.json").write_text(text)
    (other / "checkpoints" / "model.bin").write_bytes(b"weights")
    before = content(other)
    with pytest.raises(ArgumentError, match="contains other files"):
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


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resuming_a_run_that_is_done_says_so(tmp_path, capsys, config):
    train(config(), tmp_path / "run", hardware=CPU)
    assert train(config(), tmp_path / "run", hardware=CPU, resume=True, reporter=Display()) == "finished"
    assert capsys.readouterr().err == "training ended: all 9 steps were done before\n"


@pytest.mark.filterwarnings("ignore:quality")  # nine steps are no training
def test_decoder_only_keeps_the_encoder(tmp_path, config, weights, kill_at):
    from aeedge_export import decoder_start  # at the top, spawned processes of other tests would load it too

    train(config(), tmp_path / "first", hardware=CPU)
    start = initial_weights(tmp_path / "first")
    settings = config(trainable="decoder", checkpoint_steps=1)
    with pytest.raises(ArgumentError, match="--train-decoder RUN"):
        train(settings, tmp_path / "second", hardware=CPU, weights=start)
    tables = decoder_start(tmp_path / "first").tables
    train(settings, tmp_path / "second", hardware=CPU, weights=start, tables=tables)
    after = initial_weights(tmp_path / "second")
    for name, value in start.items():
        assert torch.equal(value, after[name]) == name.startswith("encoder.")
    with pytest.raises(kill_at.killed):
        train(settings, tmp_path / "pieces", hardware=CPU, weights=start, tables=tables, reporter=kill_at(5))
    train(settings, tmp_path / "pieces", hardware=CPU, resume=True)  # the tables are the run's own now
    assert_same(weights(tmp_path / "second"), weights(tmp_path / "pieces"))


def image_folder(place, seed, count=12):
    random = np.random.default_rng(seed)
    place.mkdir()
    for number in range(count):
        pixels = random.integers(0, 256 // random.integers(1, 8), (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return str(place)


@pytest.mark.slow
def test_a_resumed_run_knows_its_images(tmp_path, config, weights):
    def on(folder, max_steps):
        return config(data={"source": folder, "held_out": 0.2}, max_steps=max_steps)

    train(on(image_folder(tmp_path / "images", 0), 3), tmp_path / "run", hardware=CPU)
    before = weights(tmp_path / "run")
    others = [image_folder(tmp_path / "others", 1), image_folder(tmp_path / "more", 0, 13)]
    for folder in (*others, "synthetic"):
        with pytest.raises(ArgumentError, match=f"data.source {folder}: the images differ"):
            train(on(folder, 6), tmp_path / "run", hardware=CPU, resume=True)
        assert_same(before, weights(tmp_path / "run"))
    (tmp_path / "images").rename(tmp_path / "moved")
    assert train(on(str(tmp_path / "moved"), 6), tmp_path / "run", hardware=CPU, resume=True) == "finished"
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    assert counters.images[0] == 10
    old = {name: value for name, value in counters.to_dict().items() if name != "images"}
    save_file(tensors, checkpoint_path(tmp_path / "run", "last"), {"aeedge": json.dumps(old)})
    train(on(str(tmp_path / "moved"), 7), tmp_path / "run", hardware=CPU, resume=True)  # as older versions wrote it
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].images == counters.images


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"optimizer": {"name": "adamm"}}, 'did you mean "adam"'),
        ({"loss": {"terms": {"mss": 1.0}}}, 'training.loss.terms: found "mss"; did you mean "mse"'),
        ({"loss": {"kind": "vae"}}, "does not fit a dense model"),
        ({"batch_size": 15, "accumulate": 2}, "multiple of 2"),
        ({"corrupt": "gauss:0.1"}, 'did you mean "gaussian"'),
    ],
)
def test_wrong_settings(tmp_path, training, message, config):
    with pytest.raises(ArgumentError, match=message):
        train(config(**training), tmp_path / "run", hardware=CPU)
