import json
import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.run import checkpoint
from aeedge.training.run.checkpoint import Counters, read_checkpoint, write_checkpoint
from aeedge.training.run.folder import checkpoint_path, load_run
from aeedge_runtime.errors import AeedgeError, InputError
from aeedge_runtime.files import atomic_write

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


def test_damaged_checkpoints_are_refused(tmp_path, config):
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


def test_a_checkpoint_of_another_program_is_refused(tmp_path):
    place = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, place)
    with pytest.raises(InputError, match="contains no aeedge counters"):
        read_checkpoint(place)


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

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    with pytest.raises(AeedgeError, match=r"copy of its counters could not be written .* the checkpoint .*is complete"):
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


def test_a_run_whose_best_loss_was_written_as_infinite_loads_and_goes_on(tmp_path, config):
    train(config(max_steps=3), tmp_path / "run", hardware=CPU)
    tensors, counters = read_checkpoint(checkpoint_path(tmp_path / "run", "last"))
    text = json.dumps({**counters.to_dict(), "loss": math.nan, "best_loss": math.inf})
    for which in ("best", "last"):
        save_file(tensors, checkpoint_path(tmp_path / "run", which), {"aeedge": text})
    assert load_run(tmp_path / "run").summary["loss"] is None
    train(config(max_steps=6), tmp_path / "run", hardware=CPU, resume=True)
    assert load_run(tmp_path / "run").summary["loss"] > 0


def test_counters_follow_steps_and_validations():
    counters = Counters().after_step(0.5, {"loss": 2.0}).after_step(1.0, {"loss": 4.0})
    assert (counters.step, counters.epoch, counters.training_means()) == (2, 1.0, {"loss": 3.0})
    first = counters.after_validation(5.0)
    assert (first.best_loss, first.best_step, first.stale, first.training_means()) == (5.0, 2, 0, {})
    worse = first.after_step(1.5, {"loss": 1.0}).after_validation(6.0)
    assert (worse.loss, worse.best_loss, worse.best_step, worse.stale) == (6.0, 5.0, 2, 1)
