import importlib
import os

import pytest

from aeedge.benchmark.measure import _child_environment
from aeedge.training.openmp import wait_briefly
from aeedge_runtime import AeedgeError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "5000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_threads_sleep_soon_unless_the_environment_says_how_they_wait(monkeypatch, given, expected):
    monkeypatch.setattr(os, "environ", dict(given))
    wait_briefly()
    assert os.environ == expected


@pytest.mark.parametrize("words", [("train", "dense-mnist", "-o", "run"), ("export", "run", "-o", "bundle"), ("demo",)])
def test_commands_with_pytorch_say_so_before_it_is_imported(aeedge, monkeypatch, tmp_path, words):
    def called():
        raise AeedgeError("threads are told first")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.import_module(f"aeedge.cli.commands.{words[0]}"), "wait_briefly", called)
    assert "threads are told first" in aeedge(*words).errors[0]


def test_pytorch_is_measured_with_threads_that_wait_as_they_do_elsewhere(monkeypatch):
    """Told to sleep at once, it runs a network of 28x28 pixels four times slower."""
    monkeypatch.setattr(os, "environ", {"PATH": "/bin"})
    assert _child_environment().keys() == {"PATH", "PYTHONPATH"}
