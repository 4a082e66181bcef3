import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")

import torch

from aeedge.training.run import logbook
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, load_run

pytestmark = pytest.mark.torch

QUICK = ("--data", "synthetic", "--set", "data.count=64", "--set", "model.hidden=[8]", "--batch-size", 16)


TINY = ("dense-mnist", "--data", "synthetic", "--set", "data.count=60", "-o", "x")
PHOTOS = ("--set", "data.count=6", "--set", "training.precision=32-true", "-o", "x")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(logbook, "save_curves", lambda path, rows: None)


def test_preset_config_can_be_saved_and_trained(aeedge, tmp_path):
    config = json.loads(aeedge("presets", "dense-mnist").text)
    config["training"]["max_steps"] = 2
    (tmp_path / "mine.json").write_text(json.dumps(config))
    done = aeedge("train", "--config", tmp_path / "mine.json", *QUICK, "-o", tmp_path / "run")
    assert done.code == 0, done.stderr
    assert "aeedge export" in done.text
    assert load_run(tmp_path / "run").config.model["hidden"] == [8]


def test_train_resume_and_decoder_only(aeedge, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert aeedge("train", "dense-mnist", *QUICK, "--max-steps", 2, "-o", first).code == 0
    assert aeedge("train", "--resume", "--max-steps", 4, "-o", first).code == 0
    assert read_checkpoint(checkpoint_path(first, "last"))[1].step == 4
    done = aeedge("train", "--train-decoder", first, "--from-pretrained", "-o", second)
    assert done.code == 2
    assert "--from-pretrained and --train-decoder cannot be combined" in done.errors[0]
    done = aeedge("train", "--train-decoder", first, "--set", "training.trainable=all", "-o", second)
    assert done.code == 2
    assert 'found training.trainable="all", expected "decoder"' in done.errors[0]
    done = aeedge("train", "--train-decoder", first, "--init-from", first, "--max-steps", 2, "-o", second)
    assert done.code == 0, done.stderr
    assert load_run(second).config.training.trainable == "decoder"
    before, after = load_run(first).model.state_dict(), load_run(second).model.state_dict()
    assert all(torch.equal(before[name], after[name]) == name.startswith("encoder.") for name in before)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("dense-mnits", "-o", "x"), 2, 'did you mean "dense-mnist"'),
        (("dense-mnist",), 2, "Missing option '-o'"),
        (("-o", "x"), 2, "nothing to train"),
        (("dense-mnist", "--resume", "-o", "x"), 2, "PRESET and --resume cannot be combined"),
        (("dense-mnist", "--train-decoder", "r", "-o", "x"), 2, "PRESET and --train-decoder cannot be combined"),
        (("dense-mnist", "--tables-from", "b", "-o", "x"), 2, "--tables-from needs --train-decoder"),
        (
            ("photo", "--from-pretrained", "--init-from", "w", "-o", "x"),
            2,
            "--init-from and --from-pretrained cannot be combined",
        ),
        (("--resume", "--force", "-o", "x"), 2, "--resume cannot be combined with --force"),
        (("dense-mnist", "--set", "training.epoch=1", "-o", "x"), 2, 'did you mean "epochs"'),
        (("dense-mnist", "--set", "training.epochs", "-o", "x"), 2, "expected KEY=VALUE"),
        (("dense-mnist", "--set", "model.latnt=3", "-o", "x"), 2, 'did you mean "latent"'),
        (("dense-mnist", "--data", "nowhere", "-o", "x"), 2, "expected a folder of images or one of"),
        (("dense-mnist", "--data", "synthetic", "--from-pretrained", "-o", "x"), 1, "no pretrained weights ship"),
        (("--resume", "-o", "nowhere"), 3, "expected a folder that aeedge train wrote"),
        (("--config", "nowhere.json", "-o", "x"), 2, "expected a config as aeedge presets NAME prints it"),
        ((*TINY, "--set", "training.clip_norm=-1"), 2, "training.clip_norm: found -1.0, expected 0 or more"),
        ((*TINY, "--set", "training.clip_norm=NaN"), 2, "training.clip_norm: found"),
        ((*TINY, "--learning-rate", "inf"), 2, "found inf, expected a finite number"),
        ((*TINY, "--max-minutes", "nan"), 2, "found nan, expected a finite number"),
        ((*TINY, "--set", "training.loss.terms.msee=1"), 2, 'training.loss.terms: found "msee"; did you mean "mse"'),
        ((*TINY, "--set", "data.crop=[32,32]"), 2, "found samples of 32x32, expected multiples of the model's stride"),
        ((*TINY, "--set", "model.latent=0"), 2, "model.latent: found 0, expected 1 to"),
        ((*TINY, "--set", "model.output=linear"), 2, 'training.loss.terms: found "bce"'),
        (("conv-photo", *PHOTOS, "--set", 'training.loss.terms={"bce":1}'), 2, 'training.loss.terms: found "bce"'),
        (("photo", *PHOTOS, "--set", 'training.loss.terms={"bce":1}'), 2, 'training.loss.terms: found "bce"'),
        (("photo", *PHOTOS, "--from-pretrained", "--set", "model.width=8"), 2, "model.latent_channels: found 320"),
        (("photo", *PHOTOS, "--from-pretrained", "--set", "model.width=96"), 3, "found decoder.fine.0.narrow.weight"),
        ((*TINY, "--accelerator", "abacus"), 2, 'accelerator: found "abacus"; expected one of auto, cpu'),
        ((*TINY, "--accelerator", "cudaa"), 2, 'did you mean "cuda"'),
        ((*TINY, "--nodes", "0"), 2, "--nodes"),
        ((*TINY, "--strategy", "dpp"), 2, 'strategy: found "dpp"; did you mean "ddp"'),
        *(
            ((*TINY, f"--devices={found}"), 2, f'devices: found "{found}", expected a number from 1 to 1024 or auto')
            for found in ("0", "-1", "abc", "2,3", "99999999999")
        ),
        *(((*TINY, "--threads", found), 2, "from 1 to 1024") for found in (0, 100000, 99999999999)),
    ],
)
def test_wrong_words_get_one_line(aeedge, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    done = aeedge("train", *words)
    assert done.code == code
    assert len(done.errors) == 1
    assert message in done.errors[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_there(aeedge, tmp_path, monkeypatch, kind):
    from lightning.fabric.accelerators import cuda, mps

    for accelerator in (cuda.CUDAAccelerator, mps.MPSAccelerator):
        monkeypatch.setattr(accelerator, "is_available", lambda: False)
    done = aeedge("train", "dense-mnist", *QUICK, "--accelerator", kind, "-o", tmp_path / "run")
    assert done.code == 5
    assert f"no usable {kind} device" in done.errors[0]
    assert not (tmp_path / "run").exists()


def test_more_devices_than_there_are(aeedge, tmp_path, monkeypatch):
    from lightning import fabric
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    def refuse(**_):
        raise MisconfigurationException("You requested gpu: [0, 1]\n But your machine only has: [0]")

    monkeypatch.setattr(fabric, "Fabric", refuse)
    done = aeedge("train", "dense-mnist", *QUICK, "--devices", 2, "-o", tmp_path / "run")
    assert done.code == 5
    assert "2 devices of accelerator auto" in done.errors[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "mine.json: not JSON"),
        ("[1]", "mine.json: found a list, expected an object"),
        ("[" * 100_000 + "]" * 100_000, "more than 32 deep"),
        ('{"data": {"count": 1, "count": 2}}', 'mine.json: found the key "count" twice'),
        ('{"training": {"clip_norm": ' + "1" * 400 + "}}", "training.clip_norm: found"),
        ('{"training": {"epochs": ' + "1" * 400 + "}}", "training.epochs: found"),
    ],
)
def test_a_config_file_that_is_none(aeedge, tmp_path, text, message):
    (tmp_path / "mine.json").write_text(text)
    done = aeedge("train", "--config", tmp_path / "mine.json", "-o", tmp_path / "run")
    assert done.code == 2
    assert message in done.errors[0]


def test_resume_finds_a_run_whose_replacement_was_killed_while_files_moved(aeedge, tmp_path):
    run = tmp_path / "run"
    assert aeedge("train", "dense-mnist", *QUICK, "--max-steps", 1, "-o", run).code == 0
    (run / ".moving").mkdir()
    (run / "config.json").rename(run / ".moving" / "config.json")
    done = aeedge("train", "--resume", "--max-steps", 2, "-o", run)
    assert done.code == 0, done.stderr
    assert read_checkpoint(run / "checkpoints" / "last.safetensors")[1].step == 2


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_sigterm_ends_training_with_its_own_exit_code_and_a_whole_checkpoint(tmp_path):
    run = tmp_path / "run"
    process = started(run)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert read_checkpoint(run / "checkpoints" / "last.safetensors")[1].step > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pgrep") is None, reason="finds the second process with pgrep")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_of_two_processes_stops_both_in_order(tmp_path, rank):
    run = tmp_path / "run"
    process = started(run, "--devices", "2", "--strategy", "ddp")
    os.kill(process.pid if rank == 0 else child_of(process.pid), signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "error" not in said
    assert f"to continue: aeedge train --resume -o {run}" in said
    assert read_checkpoint(run / "checkpoints" / "last.safetensors")[1].step > 0


def started(run, *more):
    """Start a long training in a process of its own; return when it has written a checkpoint."""
    words = ["train", "dense-mnist", *map(str, QUICK), "--max-steps", "1000000", "-o", str(run), "--threads", "1"]
    command = [sys.executable, "-m", "aeedge", *words, "--accelerator", "cpu", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 300
    while not (run / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        if process.poll() is not None:
            break
        time.sleep(0.1)
    return process


def child_of(parent):
    """The second process of the run, which the first one started."""
    found = subprocess.run(["pgrep", "-P", str(parent), "-f", "aeedge"], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])
