"""Outputs that cannot be written and inputs without end: one line, an exit code, nothing partial."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from aeedge import sources
from aeedge.cli import compressor as compression
from aeedge.cli import main as cli
from aeedge.cli.packing import unpacked_paths
from aeedge_runtime import Codec, StreamError, files

FULL = Path("/dev/full")


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk(aeedge, draw, conv, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-o", FULL)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "No space left on device; free some space" in done.errors[0]
    aeedge("compress", tmp_path / "a.png", "-m", conv)
    done = aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", FULL)
    assert (done.code, len(done.errors)) == (1, 1)
    assert tree(tmp_path) == ["a.png", "a.png.aee"]


@pytest.mark.skipif(os.name == "nt", reason="needs limits of a process")
@pytest.mark.parametrize("words", [("--verify",), ("--force",), ("--pack", "all.aee")])
def test_a_file_that_may_not_grow(draw, conv, tmp_path, words):
    image = draw(tmp_path / "a.png")
    before = image.read_bytes()
    command = [sys.executable, "-m", "aeedge", "compress", image, "-m", conv, "--threads", "1", *words]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.decode().count("error: ") == 1
    assert "the output was not written" in done.stderr.decode()
    assert tree(tmp_path) == ["a.png"]
    assert image.read_bytes() == before


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs permissions")
def test_a_folder_that_may_not_be_written(draw, conv, tmp_path):
    draw(tmp_path / "a.png")
    tmp_path.chmod(0o555)
    drop = (lambda: os.setuid(65534)) if os.geteuid() == 0 else None
    if drop and not all(folder.stat().st_mode & 0o005 == 0o005 for folder in [*tmp_path.parents, Path(sys.prefix)]):
        pytest.skip("another user cannot reach the files")
    done = subprocess.run(
        [sys.executable, "-m", "aeedge", "compress", tmp_path / "a.png", "-m", conv],
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=drop,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert done.returncode == 1
    assert f"{tmp_path} is not writable" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert tree(tmp_path) == ["a.png"]


def test_an_input_without_end_is_refused(aeedge, draw, conv, tmp_path, monkeypatch):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 31)
    done = aeedge("compress", tmp_path / "huge.png", "-m", conv)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "more than 2147483647 bytes" in done.errors[0]
    monkeypatch.setattr(sources, "MAX_INPUT_BYTES", 10)
    done = aeedge("compress", "-", "-m", conv, "-o", tmp_path / "x.aee", stdin=bytes(11))
    assert (done.code, len(done.errors)) == (3, 1)
    assert "standard input: more than 10 bytes" in done.errors[0]
    assert tree(tmp_path) == ["huge.png"]


def test_packed_names_that_are_a_file_and_a_folder(aeedge, conv, tmp_path):
    with pytest.raises(StreamError, match="below image 1, a file"):
        unpacked_paths([b"a", b"a.png/b"], 2)
    codec = Codec.load(conv, threads=1)
    images = [bytes_of(value) for value in (10, 200)]
    (tmp_path / "all.aee").write_bytes(codec.compress_batch(images, names=["a", "a.png/b"]))
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv)
    assert (done.code, len(done.errors)) == (3, 1)
    assert tree(tmp_path) == ["all.aee"]


def test_packed_names_that_lead_to_one_file(aeedge, conv, tmp_path):
    codec = Codec.load(conv, threads=1)
    stream = codec.compress_batch([bytes_of(value) for value in (10, 200)], names=["a.png", "b.png"])
    (tmp_path / "all.aee").write_bytes(stream)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "b.png").symlink_to("a.png")  # stands for a file system where A.png is a.png
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv, "--force")
    assert (done.code, len(done.errors)) == (3, 1)
    assert "named b.png, and another is written to that file" in done.errors[0]


def test_a_packed_name_too_long_for_the_disk(aeedge, conv, tmp_path):
    codec = Codec.load(conv, threads=1)
    (tmp_path / "all.aee").write_bytes(codec.compress_batch([bytes_of(9)], names=["a" * 255]))
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "aaa.png, too long here" in done.errors[0]
    assert tree(tmp_path) == ["all.aee"]


def a_rival_is_faster(monkeypatch, module, name, rival):
    """Runs `rival` once, just before the first call of a function."""
    slow, left = getattr(module, name), [rival]

    def late(*words, **options):
        while left:
            left.pop()()
        return slow(*words, **options)

    monkeypatch.setattr(module, name, late)


@pytest.mark.parametrize(("word", "code"), [("--skip-existing", 0), ("--force", 0), (None, 1)])
def test_a_file_that_another_process_wrote_meanwhile(aeedge, draw, conv, tmp_path, monkeypatch, word, code):
    image, output = draw(tmp_path / "a.png"), tmp_path / "a.png.aee"
    a_rival_is_faster(monkeypatch, compression, "atomic_write", lambda: output.write_bytes(b"rival"))
    done = aeedge("compress", image, "-m", conv, *filter(None, [word]))
    assert (done.code, len(done.errors)) == (code, code)
    assert (output.read_bytes() == b"rival") == (word != "--force")
    assert tree(tmp_path) == ["a.png", "a.png.aee"]


@pytest.mark.parametrize(("word", "code"), [("--skip-existing", 0), ("--force", 0), (None, 1)])
def test_a_folder_that_another_process_made_meanwhile(aeedge, conv, tmp_path, monkeypatch, word, code):
    codec = Codec.load(conv, threads=1)
    (tmp_path / "all.aee").write_bytes(codec.compress_batch([bytes_of(9)], names=["a.png"]))

    def rival():
        (tmp_path / "all").mkdir()
        (tmp_path / "all" / "a.png").write_bytes(b"rival")

    a_rival_is_faster(monkeypatch, files, "_rename_folder", rival)
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv, *filter(None, [word]))
    assert (done.code, len(done.errors)) == (code, code)
    assert all(str(tmp_path / "all") + " exists already" in line for line in done.errors)
    assert ((tmp_path / "all/a.png").read_bytes() == b"rival") == (word != "--force")
    assert tree(tmp_path) == ["all.aee", "all/a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_that_nobody_reads_is_not_waited_for(aeedge, draw, conv, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-o", tmp_path / "fifo")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "start what reads that FIFO" in done.errors[0]


@pytest.mark.parametrize(
    "words", [("compress", ""), ("compress", "a.png", "-o", ""), ("compress", "a.png", "--pack="), ("info", "")]
)
def test_an_empty_word_is_not_the_current_folder(aeedge, words):
    done = aeedge(*words)
    assert (done.code, len(done.errors)) == (2, 1)
    assert "found an empty word" in done.errors[0]


def test_an_empty_value_of_a_setting_is_a_value():
    assert not cli._is_empty("--set=training.note=")
    assert not cli._is_empty("training.note=")


CLOSED = {"stdin": 0, "stdout": 1, "stderr": 2}


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


def bytes_of(value: int):
    import numpy as np

    return np.full((8, 8, 3), value, np.uint8)
