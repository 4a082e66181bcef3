"""A folder of images with several jobs, as a command works on it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from PIL import Image

from aeedge.cli.batch.stop import Stop, Stopped
from aeedge_runtime import Codec
from aeedge_runtime.profiling import running_clock, stage
from aeedge_runtime.watching import WatchedClock


def folder_of(draw, tmp_path, count: int = 12):
    """Images of several kinds, every fourth gray (which gives a warning), one damaged, one no image."""
    for number in range(count):
        path = draw(tmp_path / "in" / f"{number:02}.png", width=40 + number)
        if number % 4 == 3:
            Image.open(path).convert("L").save(path)
    content = (tmp_path / "in" / "05.png").read_bytes()
    (tmp_path / "in" / "05a.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "in" / "07a.png").write_bytes(b"no image")
    return tmp_path / "in"


def test_jobs_change_neither_files_nor_reports(aeedge, draw, conv, tmp_path):
    images = folder_of(draw, tmp_path)
    found = {}
    for jobs in (1, 4):
        out, back = tmp_path / f"out{jobs}", tmp_path / f"back{jobs}"
        there = aeedge("compress", images, "-m", conv, "-o", out, "--jobs", jobs, "--verify")
        data = aeedge("compress", images, "-m", conv, "-o", tmp_path / f"json{jobs}", "--jobs", jobs, "--json").json
        again = aeedge("decompress", out, "-m", conv, "-o", back, "--jobs", jobs)
        assert (there.code, again.code) == (1, 0)
        files = {path.name: path.read_bytes() for folder in (out, back) for path in sorted(folder.iterdir())}
        texts = [
            text.replace(str(tmp_path), "").replace(f"out{jobs}", "out").replace(f"back{jobs}", "back")
            for text in (there.text, there.stderr, again.text)
        ]
        texts = [[line for line in text.splitlines() if " in " not in line] for text in texts]
        results = [(result["input"], result["status"], result["warnings"]) for result in data["results"]]
        found[jobs] = (files, texts, results)
    assert found[1] == found[4]
    assert len(found[1][0]) == 24
    assert [bool(row[2]) for row in found[4][2] if row[1] == "written"] == [number % 4 == 3 for number in range(12)]


def test_skipping_and_forcing_with_jobs(aeedge, draw, conv, tmp_path):
    images = folder_of(draw, tmp_path, 6)
    (images / "05a.png").unlink()
    (images / "07a.png").unlink()
    words = ("compress", images, "-m", conv, "-o", tmp_path / "out", "--jobs", 3)
    assert aeedge(*words).code == 0
    refused = aeedge(*words)
    assert refused.code == 1
    assert len(refused.errors) == 6
    assert aeedge(*words, "--skip-existing").stderr.count("skipped") == 6
    assert aeedge(*words, "--force").code == 0


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_a_batch_soon_and_leaves_nothing_partial(draw, conv, tmp_path):
    first = draw(tmp_path / "in" / "first.png", width=1500, height=1000)
    for number in range(400):
        os.link(first, first.with_name(f"{number:03}.png"))
    command = [sys.executable, "-m", "aeedge", "compress", "in", "-m", str(conv), "-o", "out", "--jobs", "4"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    out = tmp_path / "out"
    while process.poll() is None and not (out.is_dir() and any(out.glob("*.aee"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 20  # a second or less where nothing else runs
    assert process.returncode == 130
    assert "interrupted" in errors
    codec = Codec.load(conv, threads=1)
    left = list(out.iterdir())
    assert 0 < len(left) < 400
    for path in left:
        assert codec.decompress(path.read_bytes()).shape == (1000, 1500, 3)


def test_no_stage_of_the_codec_begins_after_a_stop_was_requested(conv, draw, tmp_path):
    stop, seen = Stop(), []

    class Counted(WatchedClock):
        def enter(self, name: str) -> None:
            seen.append(name)
            if name == "encoder_graph":
                stop.request()
            super().enter(name)

    codec = Codec.load(conv, threads=1)
    with pytest.raises(Stopped), Counted(stop.check).running():
        codec.compress(draw(tmp_path / "a.png"))
    assert seen[-1] == "encoder_graph"
    assert running_clock() is None


def test_a_clock_that_is_stopped_before_it_starts_leaves_none_behind():
    stop = Stop()
    stop.request()
    with suppress(Stopped), WatchedClock(stop.check).running(), stage("any"):
        pass
    assert running_clock() is None
