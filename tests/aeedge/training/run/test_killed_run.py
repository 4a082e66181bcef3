import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aeedge.training.run.folder import checkpoint_path, put_back, require_free_folder, set_aside, sweep
from aeedge.training.run.logbook import read_metrics
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).with_name("killed_run.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment_and_resumed_equals_never_stopped(tmp_path, seed):
    command = [sys.executable, SCRIPT, tmp_path, str(seed)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert completed.returncode == 0, completed.stderr
    found = json.loads(completed.stdout)
    assert found["kills"] >= 3
    assert found["looks"] >= 10
    assert found["steps"] == sorted(found["steps"])
    assert len(set(found["steps"])) >= 3  # it was killed at work, not only before the first step
    for which in ("last", "best"):
        whole, pieces = (checkpoint_path(tmp_path / name, which).read_bytes() for name in ("whole", "pieces"))
        assert whole == pieces
    rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "pieces")]
    for row in (*rows[0], *rows[1]):
        del row["seconds"], row["images_per_second"]
    assert rows[0] == rows[1]
    assert not [path for path in (tmp_path / "pieces").rglob("*") if path.name.endswith(".tmp")]


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    left = [run / ".aeedge-0123.tmp", run / "checkpoints" / ".aeedge-4567.tmp"]
    for folder in ("reconstructions", "non-finite"):
        (run / folder).mkdir()
        left.append(run / folder / ".aeedge-89ab.tmp")
    kept = [run / "config.json", run / ".mine.tmp", run / "checkpoints" / "last.safetensors"]
    for path in (*left, *kept):
        path.write_text("{}")
    sweep(run)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def content_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("again", [put_back, set_aside])
@pytest.mark.parametrize("killed", [set_aside, put_back])
def test_a_run_survives_whatever_moment_its_replacement_is_killed_at(tmp_path, monkeypatch, killed, again):
    """Every rename, folder made or removed, and file removed is one of these moments."""
    moments = 0
    while True:
        run = tmp_path / str(moments)
        (run / "checkpoints").mkdir(parents=True)
        for name in ("config.json", "metrics.csv", "checkpoints/last.safetensors", "checkpoints/best.safetensors"):
            (run / name).write_text(f"earlier {name}")
        before = content_below(run)
        if killed is put_back:
            set_aside(run)
            (run / "checkpoints").mkdir()
            for name in ("config.json", "curves.png", "checkpoints/last.safetensors"):
                (run / name).write_text("later")
        with monkeypatch.context() as patch:
            left = kill_after(moments, patch)
            with contextlib.suppress(KeyboardInterrupt):
                killed(run)
        again(run)
        put_back(run)
        assert content_below(run) == before
        assert not [path for path in run.iterdir() if path.name.startswith(".")]
        if left():
            break
        moments += 1
    assert moments >= 5


def kill_after(calls, patch):
    """Raises as Ctrl-C does before the call number `calls`; returns what tells whether there were no more."""
    done = []

    def counted(method):
        def run(*arguments, **options):
            if len(done) == calls:
                done.append(None)
                raise KeyboardInterrupt
            done.append(None)
            return method(*arguments, **options)

        return run

    for name in ("rename", "mkdir", "rmdir", "unlink"):
        patch.setattr(Path, name, counted(getattr(Path, name)))
    return lambda: len(done) <= calls


def test_a_run_killed_before_its_first_file_can_be_started_again(tmp_path):
    (tmp_path / ".aeedge-0123.tmp").write_text("{")
    require_free_folder(tmp_path, force=False)
    set_aside(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ArgumentError, match="contains other files"):
        require_free_folder(tmp_path, force=False)
