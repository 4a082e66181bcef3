import os
import subprocess
import sys
from pathlib import Path

import pytest

CLOSED = {"stdin": 0, "stdout": 1, "stderr": 2}


FULL = Path("/dev/full")


@pytest.mark.skipif(os.name == "nt", reason="needs descriptors of POSIX")
@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        (("a.png", "-o", "a.aee"), "stdin", 0),
        (("a.png", "-o", "a.aee"), "stderr", 0),
        (("a.png", "-o", "a.aee"), "stdout", 1),
        (("a.png", "-o", "-"), "stdout", 1),
        (("-", "-o", "a.aee"), "stdin", 3),
    ],
)
def test_closed_standard_streams(draw, conv, tmp_path, words, closed, code):
    draw(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-m", "aeedge", "compress", *words, "-m", conv, "--threads", "1"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: os.close(CLOSED[closed]),
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == code
    assert len(lines) == (code > 0)
    assert all("Bad file descriptor" in line for line in lines)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_told_once(draw, conv, tmp_path):
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "aeedge", "compress", draw(tmp_path / "a.png"), "-m", conv, "-o", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"error: ") == 1
