import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from aeedge import __version__
from aeedge.cli import console
from aeedge.cli.commands import info
from aeedge.cli.errors import explain
from aeedge.cli.main import main as cli
from aeedge.cli.progress import Progress, progress_line
from aeedge_runtime.errors import (
    AeedgeError,
    ArgumentError,
    BackendError,
    DeviceError,
    ModelNotFoundError,
    StreamError,
    TargetNotReachedError,
)

COMMAND = (sys.executable, "-m", "aeedge")

SLEEPY = """
import signal, time, aeedge.cli.main, aeedge.cli.commands.info
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits an ignored SIGINT
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and one of nohup an ignored SIGHUP
aeedge.cli.commands.info.info.callback = lambda **_: (print("on", flush=True), time.sleep(60))
raise SystemExit(aeedge.cli.main.main(["info", "x"]))
"""


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
    assert done.stderr == "error: found no command named compres; did you mean compress?  (see aeedge --help)\n"


def test_an_unknown_option_is_a_usage_error_on_one_line(aeedge):
    done = aeedge("compress", "x.png", "--qualty", "3")
    assert done.code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--quality" in done.errors[0]


def test_json_prints_one_object_for_a_usage_error_too(aeedge):
    done = aeedge("info", "--nonsense", "--json")
    assert done.code == done.json["exit_code"] == 2
    assert done.json["schema"] == console.JSON_SCHEMA


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArgumentError("x"), 2),
        (StreamError("x"), 3),
        (ModelNotFoundError("x"), 4),
        (DeviceError("x"), 5),
        (TargetNotReachedError("x"), 1),
        (click.UsageError("x"), 2),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 1),
        (OSError(errno.ENOSPC, "No space left on device", "out.aee"), 1),
        (ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), 1),
        (KeyError("x"), 1),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(error, code):
    message, found = explain(error)
    assert found == code
    assert "\n" not in message
    assert message


@pytest.mark.parametrize("words", [("info", "absent"), ("compress", "absent.png")])
def test_tracebacks_pass_where_they_are_asked_for(aeedge, monkeypatch, words):
    monkeypatch.setenv("AEEDGE_TRACEBACK", "1")
    with pytest.raises(AeedgeError):
        aeedge(*words)


def test_a_library_that_cannot_be_loaded_is_one_line():
    try:
        try:
            raise ImportError("x.so: failed to map segment")
        except ImportError as cause:
            raise ImportError("\n\nADVICE\non how to solve this") from cause
    except ImportError as error:
        message, code = explain(error)
    assert code == 1
    assert message.startswith("a library cannot be loaded: x.so: failed to map segment; ")


def test_missing_torch_names_the_pip_command(aeedge, monkeypatch):
    monkeypatch.setitem(cli.SECTIONS["Models"], "train", "")

    def missing(_name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    done = aeedge("train", "dense-mnist")
    assert done.code == 1
    assert done.stderr.count("\n") == 1
    assert 'pip install "aeedge[train]"' in done.stderr


def test_progress_line_has_count_rate_and_time_left():
    assert progress_line(120, 1000, 2.0, "images") == "  120 of 1,000 images, 60.0 a second, 0:15 left"
    assert progress_line(0, 10, 1.0, "images") == " 0 of 10 images"
    assert progress_line(1, 10_000, 1.0, "images").endswith("2:46:39 left")


def test_progress_is_silent_when_stderr_is_no_terminal(capsys):
    with Progress(3) as progress:
        progress._start -= 10
        progress.update(1)
    assert capsys.readouterr().err == ""


def test_progress_shows_and_vanishes_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress() as progress:
        progress._start -= 10
        progress.report(1, 3, "images")
    drawn = capsys.readouterr().err
    assert "1 of 3 images" in drawn
    assert drawn.endswith("\r\x1b[2K")


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


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGINT", 130),
        ("SIGTERM", 143),
        pytest.param("SIGHUP", 129, marks=pytest.mark.skipif(os.name == "nt", reason="needs SIGHUP")),
    ],
)
def test_a_signal_ends_with_its_code_and_without_a_traceback(name, code):
    process = subprocess.Popen([sys.executable, "-c", SLEEPY], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"on\n"
    time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    try:
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == code
    assert b"Traceback" not in err


LOST = """
import os, signal, sys, time, aeedge.cli.main, aeedge.cli.commands.info
aeedge.cli.main.REPEAT_S = 0.2

class Deaf:
    def __del__(self):  # what is raised here, Python prints and drops
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def work(**_):
    Deaf()
    time.sleep(20)

aeedge.cli.commands.info.info.callback = work
code = aeedge.cli.main.main(["info", "x"])
time.sleep(0.4)  # no further signal comes
sys.exit(code + (signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_that_is_lost_comes_again_until_the_command_ends():
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, timeout=15, check=False)
    assert (done.returncode, b"Exception ignored in" in done.stderr) == (143, True)


@pytest.mark.parametrize(("signalled", "code"), [(SystemExit(143), 143), (KeyboardInterrupt(), 130)])
def test_a_signal_while_a_library_loads_is_no_fault_of_the_library(aeedge, monkeypatch, signalled, code):
    def loading(**_):
        try:
            raise ImportError("initialization failed") from signalled  # as extension modules wrap it
        except ImportError as error:
            raise BackendError("onnxruntime is installed but does not load") from error

    monkeypatch.setattr(info.info, "callback", loading)
    done = aeedge("info", "x")
    assert (done.code, "onnxruntime" in done.stderr) == (code, False)


def test_python_dash_m_is_the_command():
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"aeedge {__version__}\n"
