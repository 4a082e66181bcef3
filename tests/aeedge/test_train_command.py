import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from aeedge.presets import PRESETS
from aeedge.training import engine
from aeedge.training.checkpoint import read_checkpoint
from aeedge.training.run import checkpoint_path, load_run

pytestmark = pytest.mark.torch

QUICK = ("--data", "synthetic", "--set", "data.count=64", "--set", "model.hidden=[8]", "--batch-size", 16)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(engine, "save_curves", lambda run: None)


def test_presets_lists_all(aeedge):
    done = aeedge("presets")
    assert done.code == 0
    assert all(name in done.text for name in PRESETS)
    assert [entry["name"] for entry in aeedge("presets", "--json").json["presets"]] == list(PRESETS)


def test_preset_config_can_be_saved_and_trained(aeedge, tmp_path):
    config = json.loads(aeedge("presets", "dense-mnist").text)
    config["training"]["max_steps"] = 2
    (tmp_path / "mine.json").write_text(json.dumps(config))
    done = aeedge("train", "--config", tmp_path / "mine.json", *QUICK, "--out", tmp_path / "run")
    assert done.code == 0, done.stderr
    assert "aeedge export" in done.text
    assert load_run(tmp_path / "run").config.model["hidden"] == [8]


def test_train_resume_and_decoder_only(aeedge, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert aeedge("train", "dense-mnist", *QUICK, "--max-steps", 2, "--out", first).code == 0
    assert aeedge("train", "--resume", "--max-steps", 4, "--out", first).code == 0
    assert read_checkpoint(checkpoint_path(first, "last"))[1].step == 4
    done = aeedge("train", "--decoder-only", "--from", first, "--init-from", first, "--out", second)
    assert done.code == 2
    assert "--init-from starts a run" in done.errors[0]
    done = aeedge("train", "--decoder-only", "--from", first, "--max-steps", 2, "--out", second)
    assert done.code == 0, done.stderr
    assert load_run(second).config.training.trainable == "decoder"
    before, after = load_run(first).model.state_dict(), load_run(second).model.state_dict()
    assert all(torch.equal(before[name], after[name]) == name.startswith("encoder.") for name in before)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("dense-mnits", "--out", "x"), 2, 'did you mean "dense-mnist"'),
        (("dense-mnist",), 2, "found no --out"),
        (("--out", "x"), 2, "found none, expected one of PRESET"),
        (("dense-mnist", "--resume", "--out", "x"), 2, "found PRESET and --resume"),
        (("dense-mnist", "--decoder-only", "--out", "x"), 2, "belong together"),
        (("dense-mnist", "--tables-from", "b", "--out", "x"), 2, "--tables-from belongs to --decoder-only"),
        (("photo", "--from-pretrained", "--init-from", "w", "--out", "x"), 2, "--from-pretrained starts a run"),
        (("dense-mnist", "--set", "training.epoch=1", "--out", "x"), 2, 'did you mean "epochs"'),
        (("dense-mnist", "--set", "training.epochs", "--out", "x"), 2, "expected KEY=VALUE"),
        (("dense-mnist", "--set", "model.latnt=3", "--out", "x"), 2, 'did you mean "latent"'),
        (("dense-mnist", "--data", "nowhere", "--out", "x"), 2, "expected a folder of images or one of"),
        (("dense-mnist", "--data", "synthetic", "--from-pretrained", "--out", "x"), 1, "no pretrained weights ship"),
        (("--resume", "--out", "nowhere"), 3, "expected a folder that aeedge train wrote"),
        (("--config", "nowhere.json", "--out", "x"), 2, "expected a config as aeedge presets NAME prints it"),
    ],
)
def test_wrong_words_get_one_line(aeedge, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    done = aeedge("train", *words)
    assert done.code == code
    assert len(done.errors) == 1
    assert message in done.errors[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[1]", "found a list, expected an object")])
def test_a_config_file_that_is_none(aeedge, tmp_path, text, message):
    (tmp_path / "mine.json").write_text(text)
    done = aeedge("train", "--config", tmp_path / "mine.json", "--out", tmp_path / "run")
    assert done.code == 2
    assert message in done.errors[0]


@pytest.mark.skipif(shutil.which("pgrep") is None, reason="finds the second process with pgrep")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_of_two_processes_stops_both_in_order(tmp_path, rank):
    run = tmp_path / "run"
    words = ["train", "dense-mnist", *map(str, QUICK), "--max-steps", "1000000", "--out", str(run), "--threads", "1"]
    command = [sys.executable, "-m", "aeedge", *words, "--accelerator", "cpu", "--devices", "2", "--strategy", "ddp"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = run / "checkpoints" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid if rank == 0 else child_of(process.pid), signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "error" not in said
    assert f"to go on: aeedge train --resume --out {run}" in said
    assert read_checkpoint(last)[1].step > 0


def child_of(parent):
    """The second process of the run, which the first one started."""
    found = subprocess.run(["pgrep", "-P", str(parent), "-f", "aeedge"], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])
