"""Ctrl-C and the signals that end a process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from aeedge.cli.batch.stop import Stop, Stopped
from aeedge.cli.commands import info
from aeedge_runtime import BackendError

SLEEPY = """
import signal, time, aeedge.cli.main, aeedge.cli.commands.info
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits an ignored SIGINT
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and one of nohup an ignored SIGHUP
aeedge.cli.commands.info.info.callback = lambda **_: (print("on", flush=True), time.sleep(60))
raise SystemExit(aeedge.cli.main.main(["info", "x"]))
"""


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


DEAF = """
import os, signal, sys, aeedge.cli.main, aeedge.cli.commands.info
from aeedge.cli.batch.stop import Stop

class Deaf:
    def __del__(self):  # Python prints and drops what is raised here
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

def work(**_):
    Deaf()
    print("still here", flush=True)
    Stop.of_command().check()
    print("and here", flush=True)

aeedge.cli.commands.info.info.callback = work
sys.exit(aeedge.cli.main.main(["info", "x"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_a_signal_whose_exception_is_lost_ends_the_command_at_its_next_stage():
    done = subprocess.run([sys.executable, "-c", DEAF], capture_output=True, timeout=15, check=False)
    assert (done.returncode, done.stdout) == (143, b"still here\n")


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_a_signal_while_a_library_loads_is_not_an_error_of_the_library(aeedge, monkeypatch):
    def loading(**_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except SystemExit as signalled:
            raise BackendError("onnxruntime is installed but does not load") from signalled

    monkeypatch.setattr(info.info, "callback", loading)
    done = aeedge("info", "x")
    assert (done.code, "onnxruntime" in done.stderr) == (143, False)


def test_handlers_are_put_back_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Stop().on_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_of_a_command_every_stop_is_its_own():
    stop = Stop.of_command()
    stop.request()
    with pytest.raises(Stopped):
        stop.check()
    Stop.of_command().check()
