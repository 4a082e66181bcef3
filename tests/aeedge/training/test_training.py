import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch._dynamo.testing import CompileCounter

from aeedge.models import build_model
from aeedge.training import engine
from aeedge.training.config import RunConfig
from aeedge.training.data.batches import Batch, StepInfo
from aeedge.training.hardware import Hardware
from aeedge.training.initial import initial_weights
from aeedge.training.loop import train
from aeedge.training.objectives import losses
from aeedge.training.objectives.base import build_objective
from aeedge.training.reporting.display import Display
from aeedge.training.reporting.pictures import save_curves
from aeedge.training.run import checkpoint
from aeedge.training.run.checkpoint import Counters, read_checkpoint, write_checkpoint
from aeedge.training.run.folder import checkpoint_path, load_run
from aeedge.training.run.logbook import read_metrics
from aeedge.training.stop_request import StopRequest
from aeedge.training.validation import Validator, held_out_places
from aeedge_export import decoder_start
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError
from aeedge_runtime.files import atomic_write

pytestmark = pytest.mark.torch

DENSE = {
    "model": {"family": "dense", "hidden": [16], "latent": 8},
    "data": {"source": "synthetic", "count": 96, "held_out": 0.2},
    "training": {"max_steps": 9, "batch_size": 16, "validate_steps": 3, "optimizer": {"learning_rate": 0.01}},
}
VAE = {
    **DENSE,
    "model": {"family": "vae", "hidden": [16], "latent": 4},
    "training": {"loss": {"kind": "vae", "terms": {"bce": 1.0}, "reduction": "sum", "kl_warmup_steps": 5}},
}
PHOTO = {
    "model": {"family": "conv", "width": 16, "latent": 24, "hidden": 8},
    "data": {"source": "synthetic-photos", "count": 4, "held_out": 0.3, "crop": [32, 48], "flip": True},
    "training": {"max_steps": 4, "batch_size": 4, "validate_steps": 2, "loss": {"kind": "rate-distortion"}},
}
HYPERPRIOR = {
    "model": {
        "family": "hyperprior",
        "width": 16,
        "latent_channels": 24,
        "hidden": 8,
        "decoder_hidden": 8,
        "groups": [24],
    },
    "data": {"source": "synthetic-photos", "count": 4, "held_out": 0.3, "crop": [64, 64]},
    "training": {"max_steps": 2, "batch_size": 2, "loss": {"kind": "hyperprior"}},
}
CPU = Hardware(accelerator="cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)  # tiny networks: more threads only wait for each other


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
    monkeypatch.setattr(engine, "save_curves", lambda run: None)  # a second each; drawn once below


def config(base=DENSE, **training):
    values = json.loads(json.dumps(base))
    values["training"] |= training
    return RunConfig.from_dict(values)


def weights(run, which="last"):
    return load_file(checkpoint_path(run, which))


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


class Killed(BaseException):
    pass


class KillAt:
    """A reporter that ends the process's work at a step without any farewell, as SIGKILL would."""

    def __init__(self, step):
        self.at = step

    def start(self, *_):
        pass

    def step(self, step, *_):
        if step == self.at:
            raise Killed

    def validated(self, *_):
        pass

    def finish(self, *_):
        pass


STATEFUL = {"ema_decay": 0.9, "clip_norm": 0.5, "corrupt": "gaussian:0.2", "checkpoint_steps": 2, "accumulate": 2}


@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_killed_and_resumed_equals_never_stopped(tmp_path, step):
    settings = config(**STATEFUL)
    train(settings, tmp_path / "whole", hardware=CPU)
    with pytest.raises(Killed):
        train(settings, tmp_path / "pieces", hardware=CPU, reporter=KillAt(step))
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
        (DENSE, {"optimizer": {"name": "sgd", "schedule": "cosine", "warmup_steps": 2}}),
        (PHOTO, {"ema_decay": 0.9, "channels_last": True, "precision": "bf16-mixed"}),
    ],
)
def test_resume_in_the_middle_of_other_settings(tmp_path, base, training):
    settings = config(base, checkpoint_steps=1, **training)
    train(settings, tmp_path / "whole", hardware=CPU)
    with pytest.raises(Killed):
        train(settings, tmp_path / "pieces", hardware=CPU, reporter=KillAt(3))
    train(settings, tmp_path / "pieces", hardware=CPU, resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "pieces"))


@pytest.mark.parametrize("terms", [{"mse": 1.0}, {"mse": 0.1, "l1": 0.02}])
def test_targets_keep_their_precision_whatever_the_network_computes_in(tmp_path, monkeypatch, terms):
    seen = []
    mixture = losses.mixture

    def note(image, target, terms):
        seen.append(target)
        return mixture(image, target, terms)

    monkeypatch.setattr(losses, "mixture", note)
    loss = {"kind": "hyperprior", "terms": terms}
    train(config(HYPERPRIOR, precision="bf16-mixed", max_steps=1, loss=loss), tmp_path / "run", hardware=CPU)
    assert {target.dtype for target in seen} == {torch.float32}
    levels = torch.cat([target.flatten() for target in seen]) * 255
    assert (levels - levels.round()).abs().max() < 1e-3


def test_resume_keeps_the_best(tmp_path):
    train(config(), tmp_path / "run", hardware=CPU)
    best = checkpoint_path(tmp_path / "run", "best")
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    lucky = Counters.from_dict({**counters.to_dict(), "best_loss": 0.0, "best_step": 1})
    write_checkpoint(checkpoint_path(tmp_path / "run", "last"), tensors, lucky)
    before = best.read_bytes()
    train(config(max_steps=15), tmp_path / "run", hardware=CPU, resume=True)
    assert best.read_bytes() == before


def test_a_run_folder_is_complete(tmp_path):
    train(config(), tmp_path / "run", hardware=CPU)
    save_curves(tmp_path / "run")
    Image.open(tmp_path / "run" / "curves.png").verify()
    assert len(list((tmp_path / "run" / "reconstructions").glob("*.png"))) == 3
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    Image.open(tmp_path / "run" / "reconstructions" / "step-0000009.png").verify()
    loaded = load_run(tmp_path / "run")
    assert not loaded.model.training
    assert loaded.summary["steps"] in (3, 6, 9)
    assert loaded.config.training.max_steps == 9
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize("base", [PHOTO, HYPERPRIOR])
def test_rate_is_reported(tmp_path, base):
    train(config(base), tmp_path / "run", hardware=CPU)
    row = read_metrics(tmp_path / "run" / "metrics.csv")[0]
    assert row["val_rate_bpp"] > 0


def test_training_reduces_the_loss(tmp_path):
    train(config(max_steps=80, validate_steps=20), tmp_path / "run", hardware=CPU)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert rows[-1]["val_loss"] < 0.9 * rows[0]["val_loss"]


def test_vae_trains_with_warm_up_and_free_bits(tmp_path):
    base = {**DENSE, "model": {"family": "vae", "hidden": [16], "latent": 4}}
    loss = {"kind": "vae", "terms": {"bce": 1.0}, "reduction": "sum", "kl_warmup_steps": 5, "free_bits": 0.1}
    train(config(base, loss=loss), tmp_path / "run", hardware=CPU)
    row = read_metrics(tmp_path / "run" / "metrics.csv")[0]
    assert row["val_loss"] == pytest.approx(row["val_bce"] + row["val_kl"], rel=0.2)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch.compile's own, where a graph breaks
@pytest.mark.parametrize("base", [VAE, PHOTO])
def test_steps_are_compiled_once(base):
    settings = config(base)
    model = build_model(settings.model)
    objective = build_objective(settings.training.loss, model)
    counter = CompileCounter()
    torch.compiler.reset()
    objective.compile(backend=counter, dynamic=False)
    target = torch.rand(4, model.channels, 28, 28) if base is VAE else torch.rand(4, 3, 32, 48)
    counts = []
    for step in range(4):
        objective(model, Batch(target, target), StepInfo(step, 9, 0, 0))["loss"].backward()
        counts.append(counter.frame_count)
    torch.compiler.reset()
    assert counts[0] > 0
    assert counts == counts[:1] * 4


def test_validation_is_not_compiled(tmp_path, monkeypatch):
    calls = []

    def compiled(self, **_):
        self._compiled_call_impl = lambda *words: calls.append(torch.is_grad_enabled()) or self.forward(*words)

    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    train(config(), tmp_path / "run", hardware=Hardware(accelerator="cpu", compile=True))
    assert calls == [True] * 9


def test_accumulation_equals_the_whole_batch(tmp_path):
    train(config(max_steps=4), tmp_path / "whole", hardware=CPU)
    train(config(max_steps=4, accumulate=4), tmp_path / "parts", hardware=CPU)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], atol=1e-5, rtol=1e-4)


def test_early_stopping(tmp_path):
    stuck = config(max_steps=100, patience=2, optimizer={"name": "sgd", "learning_rate": 1e-30})
    assert "no improvement in 2" in train(stuck, tmp_path / "run", hardware=CPU)
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 9


def test_resuming_a_run_that_is_done_says_so(tmp_path, capsys):
    train(config(), tmp_path / "run", hardware=CPU)
    assert train(config(), tmp_path / "run", hardware=CPU, resume=True, reporter=Display()) == "finished"
    assert capsys.readouterr().err == "training ended: all 9 steps were done before\n"


def test_time_limit_stops_after_a_step_and_can_be_resumed(tmp_path):
    assert train(config(), tmp_path / "run", hardware=CPU, stop=StopRequest(1e-9)) == "time is up"
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 1
    assert train(config(), tmp_path / "run", hardware=CPU, resume=True) == "finished"


def test_non_finite_loss_stops_and_keeps_the_batch(tmp_path):
    wild = config(checkpoint_steps=1, optimizer={"name": "sgd", "learning_rate": 1e30})
    with pytest.raises(AeedgeError, match=r"became .* at step"):
        train(wild, tmp_path / "run", hardware=CPU)
    saved = list((tmp_path / "run" / "non-finite").glob("*.safetensors"))
    assert load_file(saved[0])["target"].shape == (16, 1, 28, 28)


def test_a_network_that_gives_nan_stops_under_bce_too(tmp_path):
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
def test_a_held_out_loss_that_is_not_finite_stops_and_leaves_the_checkpoints_before_it(tmp_path, monkeypatch, wrong):
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


def test_a_first_held_out_loss_that_is_not_finite_leaves_no_checkpoint(tmp_path, monkeypatch):
    held_out_losses(monkeypatch, math.nan)
    with pytest.raises(AeedgeError, match="at step 3; start again with a lower learning rate"):
        train(config(), tmp_path / "run", hardware=CPU)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_gradient_that_is_not_finite_stops_without_clipping_too(tmp_path, monkeypatch):
    fit = engine.Engine.fit

    def spoilt(self, stop):
        self.trained[0].register_hook(lambda gradient: gradient * math.nan)
        return fit(self, stop)

    monkeypatch.setattr(engine.Engine, "fit", spoilt)
    with pytest.raises(AeedgeError, match="the loss or its gradient became nan at step 0"):
        train(config(), tmp_path / "run", hardware=CPU)
    assert list((tmp_path / "run" / "non-finite").glob("*.safetensors"))


def test_a_run_whose_best_loss_was_written_as_infinite_loads_and_goes_on(tmp_path):
    train(config(max_steps=3), tmp_path / "run", hardware=CPU)
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    text = json.dumps({**counters.to_dict(), "loss": math.nan, "best_loss": math.inf})
    for which in ("best", "last"):
        save_file(tensors, checkpoint_path(tmp_path / "run", which), {"aeedge": text})
    assert load_run(tmp_path / "run").summary["loss"] is None
    train(config(max_steps=6), tmp_path / "run", hardware=CPU, resume=True)
    assert load_run(tmp_path / "run").summary["loss"] > 0


@pytest.mark.filterwarnings("ignore:quality")  # nine steps are no training
def test_decoder_only_keeps_the_encoder(tmp_path):
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
    with pytest.raises(Killed):
        train(settings, tmp_path / "pieces", hardware=CPU, weights=start, tables=tables, reporter=KillAt(5))
    train(settings, tmp_path / "pieces", hardware=CPU, resume=True)  # the tables are the run's own now
    assert_same(weights(tmp_path / "second"), weights(tmp_path / "pieces"))


def image_folder(place, seed, count=12):
    random = np.random.default_rng(seed)
    place.mkdir()
    for number in range(count):
        pixels = random.integers(0, 256 // random.integers(1, 8), (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    return str(place)


def test_a_resumed_run_knows_its_images(tmp_path):
    def on(folder, max_steps):
        return config({**DENSE, "data": {"source": folder, "held_out": 0.2}}, max_steps=max_steps)

    train(on(image_folder(tmp_path / "images", 0), 3), tmp_path / "run", hardware=CPU)
    before = weights(tmp_path / "run")
    others = [image_folder(tmp_path / "others", 1), image_folder(tmp_path / "more", 0, 13)]
    for folder in (*others, "synthetic"):
        with pytest.raises(ArgumentError, match=f"data.source {folder}: found other images, or more or fewer"):
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


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_held_out_images_count_alike_whatever_the_number_of_processes(processes):
    for count in range(1, 12):
        shares = [held_out_places(rank, processes, count) for rank in range(processes)]
        assert all(shares)
        assert len({sum(share.count(image) for share in shares) for image in range(count)}) == 1


def test_folder_in_use(tmp_path):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    with pytest.raises(AeedgeError, match="--resume or replace it with --force"):
        train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    (tmp_path / "run" / "mine.txt").write_text("kept")
    train(config(max_steps=2), tmp_path / "run", hardware=CPU, force=True)
    assert (tmp_path / "run" / "mine.txt").read_text() == "kept"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    with pytest.raises(ArgumentError, match="found other files"):
        train(config(), tmp_path / "other", hardware=CPU, force=True)


def test_unusable_config_leaves_no_folder_and_no_loss(tmp_path):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    missing = RunConfig.from_dict({**DENSE, "data": {"source": str(tmp_path / "nowhere")}})
    with pytest.raises(ArgumentError):
        train(missing, tmp_path / "new", hardware=CPU)
    with pytest.raises(ArgumentError):
        train(missing, tmp_path / "run", hardware=CPU, force=True)
    assert not (tmp_path / "new").exists()
    load_run(tmp_path / "run")


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
def test_wrong_settings(tmp_path, training, message):
    with pytest.raises(ArgumentError, match=message):
        train(config(**training), tmp_path / "run", hardware=CPU)


def test_damaged_checkpoints_are_refused(tmp_path):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    place = checkpoint_path(tmp_path / "run", "last")
    whole = place.read_bytes()
    for cut in (0, 7, 100, len(whole) - 1):
        place.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="damaged"):
            load_run(tmp_path / "run", "last")
    tensors, counters = {"model.x": torch.zeros(1)}, Counters()
    write_checkpoint(place, tensors, counters)
    with pytest.raises(InputError, match="do not fit"):
        load_run(tmp_path / "run", "last")
    write_checkpoint(place, tensors, Counters(schema=7))
    with pytest.raises(InputError, match="found checkpoint version 7, expected 1"):
        load_run(tmp_path / "run", "last")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "null", "3", "[" * 100_000, '{"schema": 1, "step": "x"}', '{"schema": 1, "step": -1}', '{"sums": 1}'],
)
def test_damaged_counters_are_refused(tmp_path, text):
    place = tmp_path / "last.safetensors"
    save_file({"model.x": torch.zeros(1)}, place, {"aeedge": text})
    with pytest.raises(InputError) as caught:
        read_checkpoint(place)
    assert str(caught.value).startswith(f"{place}: found" if text == "{" else f"{place}: ")


@pytest.mark.parametrize("text", ["[]", "null", "3"])
def test_a_run_config_that_is_no_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="expected an object with keys"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"step,val_loss\n1,abc\n",
        b"step,val_loss\n1,2,3\n",
        b"step,val_loss\n1,\xff\n",
        b"val_loss\n1\n",
        b"step,val_loss\n1," + b'"' + b"1" * 200_000,
    ],
)
def test_damaged_metrics_are_refused(tmp_path, data):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    (tmp_path / "run" / "metrics.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"metrics\.csv: found .* mend or remove the file"):
        train(config(max_steps=2), tmp_path / "run", hardware=CPU, resume=True)


def test_optimizer_state_of_another_network(tmp_path):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    for name in ("99.x", "x.99"):
        more = tensors | {f"optimizer.{name}": torch.ones(1)}
        write_checkpoint(checkpoint_path(tmp_path / "run", "last"), more, counters)
        with pytest.raises(InputError, match=rf"found optimizer\.{name}"):
            train(config(max_steps=2), tmp_path / "run", hardware=CPU, resume=True)


def test_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="expected a folder that aeedge train wrote"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config"):
        load_run(tmp_path)


def test_a_checkpoint_of_another_program_is_refused(tmp_path):
    place = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, place)
    with pytest.raises(InputError, match="expected a checkpoint of aeedge train"):
        read_checkpoint(place)


def test_a_file_where_the_run_should_be(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ArgumentError, match="found a file, expected a folder for the run"):
        train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    assert (tmp_path / "run").read_text() == "mine"


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    place = tmp_path / "last.safetensors"
    write_checkpoint(place, {"x": torch.ones(3)}, Counters(step=1))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(AeedgeError, match="previous one is kept"):
        write_checkpoint(place, {"x": torch.zeros(3)}, Counters(step=2))
    assert read_checkpoint(place)[1].step == 1
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


def test_a_copy_of_the_counters_that_fails_is_told_as_such(tmp_path, monkeypatch):
    place = tmp_path / "last.safetensors"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_copy", full)
    with pytest.raises(AeedgeError, match=r"counters could not be written beside it .* it is complete"):
        write_checkpoint(place, {"x": torch.ones(3)}, Counters(step=2))
    assert read_checkpoint(place)[1].step == 2


def test_files_are_written_by_the_rules_of_windows(tmp_path, monkeypatch):
    """A folder cannot be opened, and only what is open for writing can be flushed."""
    fcntl = pytest.importorskip("fcntl")
    opened, flushed = os.open, os.fsync

    def open_file(path, flags, *rest, **more):
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *rest, **more)

    def flush(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        flushed(descriptor)

    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", flush)
    write_checkpoint(tmp_path / "last.safetensors", {"x": torch.ones(3)}, Counters(step=7))
    atomic_write(tmp_path / "image.aee", b"data")
    assert read_checkpoint(tmp_path / "last.safetensors")[1].step == 7
    assert (tmp_path / "image.aee").read_bytes() == b"data"


def test_a_checkpoint_is_written_when_the_last_is_old(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        train(config(validate_steps=100), tmp_path / "run", hardware=CPU, reporter=KillAt(5))
    assert read_checkpoint(checkpoint_path(tmp_path / "run", "last"))[1].step == 4


def test_two_processes_equal_one(tmp_path):
    settings = config(
        {**DENSE, "model": {"family": "vae", "hidden": [16], "latent": 4}},
        max_steps=6,
        loss={"kind": "vae", "terms": {"bce": 1.0}, "reduction": "sum"},
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


def test_same_seed_same_bytes_other_seed_other_weights(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(max_steps=2, seed=seed), tmp_path / name, hardware=CPU)
    files = [checkpoint_path(tmp_path / name, "last").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]
    shutil.rmtree(tmp_path / "a")


def test_torch_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the legacy state is what is tested
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    assert torch.equal(torch.rand(3), expected)
