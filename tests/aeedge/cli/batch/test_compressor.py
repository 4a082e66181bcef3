"""Outputs that cannot be written and inputs that cannot be read: one line, an exit code, nothing partial."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge import sources
from aeedge.cli.batch import compressor as compression
from aeedge_runtime import Codec
from aeedge_runtime.images import load as image_files

FULL = Path("/dev/full")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def a_rival_is_faster(monkeypatch, module, name, rival):
    """Runs `rival` once, just before the first call of a function."""
    slow, left = getattr(module, name), [rival]

    def late(*words, **options):
        while left:
            left.pop()()
        return slow(*words, **options)

    monkeypatch.setattr(module, name, late)


def test_verify_takes_away_what_the_disk_changed(aeedge, draw, conv, tmp_path, monkeypatch):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--verify", "--json").json["results"][0]["verified"]

    def lying_disk(path, data, *, overwrite):
        Path(path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    monkeypatch.setattr(compression, "write_location", lying_disk)
    done = aeedge("compress", image, "-m", conv, "--verify", "-o", tmp_path / "b.aee")
    assert done.code == 1
    assert not (tmp_path / "b.aee").exists()


def test_verify_finds_what_cannot_be_decoded(aeedge, draw, conv, tmp_path, monkeypatch):
    compress = Codec.compress_batch

    def faulty(self, *arguments, **options):
        data = compress(self, *arguments, **options)
        return data[:40] + bytes([data[40] ^ 1]) + data[41:]

    monkeypatch.setattr(Codec, "compress_batch", faulty)
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "--verify")
    assert done.code == 3
    assert tree(tmp_path) == ["a.png"]


def test_frames_beyond_the_limit_are_not_decoded(aeedge, conv, tmp_path, monkeypatch):
    first, *others = [Image.new("L", (20, 20), shade) for shade in range(0, 250, 25)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    read, decoded = image_files._from_opened, []
    monkeypatch.setattr(image_files, "_from_opened", lambda *words: decoded.append(0) or read(*words))
    done = aeedge("compress", tmp_path / "a.gif", "-m", conv, "--all-frames", "--max-pixels", 3999)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "10 frames have 4000 pixels, the limit is 3999" in done.errors[0]
    assert not decoded
    assert aeedge("compress", tmp_path / "a.gif", "-m", conv, "--all-frames").code == 0
    assert len(decoded) == 10


def test_packing_keeps_no_more_in_memory_than_a_stream_may_hold(aeedge, draw, conv, tmp_path, monkeypatch):
    for number in range(4):
        draw(tmp_path / "in" / f"{number}.png", 10, 10)
    monkeypatch.setattr(compression, "_check_one_size", lambda *_: pytest.fail("kept"))
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "p.aee", "--max-pixels", 399)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "the images have 400 pixels, the limit is 399" in done.errors[0]
    assert not (tmp_path / "p.aee").exists()


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


@pytest.mark.parametrize(("word", "code"), [("--skip-existing", 0), ("--force", 0), (None, 1)])
def test_a_file_that_another_process_wrote_meanwhile(aeedge, draw, conv, tmp_path, monkeypatch, word, code):
    image, output = draw(tmp_path / "a.png"), tmp_path / "a.png.aee"
    a_rival_is_faster(monkeypatch, compression, "write_location", lambda: output.write_bytes(b"rival"))
    done = aeedge("compress", image, "-m", conv, *filter(None, [word]))
    assert (done.code, len(done.errors)) == (code, code)
    assert (output.read_bytes() == b"rival") == (word != "--force")
    assert tree(tmp_path) == ["a.png", "a.png.aee"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_that_nobody_reads_is_not_waited_for(aeedge, draw, conv, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-o", tmp_path / "fifo")
    assert (done.code, len(done.errors)) == (1, 1)
    assert "start what reads that FIFO" in done.errors[0]
