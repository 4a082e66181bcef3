import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aeedge import __version__
from aeedge.cli import console
from aeedge.cli import main as cli
from aeedge_runtime.errors import (
    AeedgeError,
)

COMMAND = (sys.executable, "-m", "aeedge")


def test_without_arguments_it_shows_the_help(aeedge):
    done = aeedge()
    assert done.code == 0
    assert done.text == aeedge("--help").text
    assert [name for name in cli.aeedge.list_commands(click.Context(cli.aeedge)) if name not in done.text] == []


def test_every_command_exists_and_its_help_fits_100_columns(aeedge):
    for name in cli.aeedge.list_commands(click.Context(cli.aeedge)):
        done = aeedge(name, "--help")
        assert done.code == 0, done.stderr
        assert done.text.startswith(f"Usage: aeedge {name}")
        assert max(map(len, done.text.splitlines())) <= 100


def test_version(aeedge):
    assert aeedge("--version").text == f"aeedge {__version__}\n"


def test_an_unknown_command_is_a_usage_error_with_the_nearest_name(aeedge):
    done = aeedge("compres")
    assert done.code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "compres; did you mean compress?" in done.errors[0]


def test_an_unknown_option_is_a_usage_error_on_one_line(aeedge):
    done = aeedge("compress", "x.png", "--qualty", "3")
    assert done.code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--quality" in done.errors[0]


def test_json_prints_one_object_for_a_usage_error_too(aeedge):
    done = aeedge("info", "--nonsense", "--json")
    assert done.code == done.json["exit_code"] == 2
    assert done.json["schema"] == console.JSON_SCHEMA


@pytest.mark.parametrize("words", [("info", "absent"), ("compress", "absent.png")])
def test_tracebacks_pass_where_they_are_asked_for(aeedge, monkeypatch, words):
    monkeypatch.setenv("AEEDGE_TRACEBACK", "1")
    with pytest.raises(AeedgeError):
        aeedge(*words)


def test_missing_torch_names_the_pip_command(aeedge, monkeypatch):
    monkeypatch.setitem(cli.SECTIONS["Models"], "train", "")

    def missing(_name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    done = aeedge("train", "dense-mnist")
    assert done.code == 1
    assert done.stderr.count("\n") == 1
    assert 'pip install "aeedge[train]"' in done.stderr


def test_a_broken_pipe_is_quiet():
    process = subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_an_error():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rb"error: .*No space left.*\n", done.stderr)


def test_python_dash_m_is_the_command():
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"aeedge {__version__}\n"


@pytest.mark.parametrize(
    "words", [("compress", ""), ("compress", "a.png", "-o", ""), ("compress", "a.png", "--pack="), ("info", "")]
)
def test_an_empty_word_is_not_the_current_folder(aeedge, words):
    done = aeedge(*words)
    assert (done.code, len(done.errors)) == (2, 1)
    assert "an argument is empty" in done.errors[0]


def test_an_empty_value_of_a_setting_is_a_value():
    assert not cli._is_empty("--set=training.note=")
    assert not cli._is_empty("training.note=")
