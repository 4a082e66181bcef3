"""File names that break careless programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

NAMES = [
    b"with space.png",
    b"#1.png",
    b"new\nline.png",
    "\u00e4\u6587.png".encode(),
    b"\xff\xfe.png",
    b"-q.png",
    b"a" * 247 + b".png",
]


def listed(folder: Path) -> list[bytes]:
    return sorted(os.fsencode(path.name) for path in folder.iterdir())


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_odd_names_make_the_round_trip_in_their_own_folder(draw, conv, tmp_path, name):
    draw(tmp_path / "plain.png").rename(tmp_path / os.fsdecode(name))
    for command, word in (("compress", name), ("decompress", name + b".aee")):
        words = [sys.executable, "-m", "aeedge", command, "-m", conv, "--force" if command == "compress" else "-oback"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([*words, "--", word], cwd=tmp_path, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == 1
    with Image.open(tmp_path / "back") as image:
        assert image.size == (33, 21)


def test_odd_names_in_a_folder_and_in_a_pack(aeedge, draw, conv, tmp_path):
    for name in NAMES:
        draw(tmp_path / "in" / "plain.png").rename(tmp_path / "in" / os.fsdecode(name))
    assert aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out").code == 0
    assert listed(tmp_path / "out") == sorted(name + b".aee" for name in NAMES)
    assert aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee").code == 0
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 0
    assert listed(tmp_path / "all") == sorted(NAMES)


def test_a_name_too_long_for_its_result_is_one_line(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / ("a" * 251 + ".png"))
    done = aeedge("compress", image, "-m", conv)
    assert done.code == 1
    assert "choose a shorter name with -o" in done.errors[0]
    assert aeedge("compress", image, "-m", conv, "-o", tmp_path / "b.aee").code == 0


def test_a_fifo_and_a_folder_named_like_an_image(aeedge, draw, conv, tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    draw(tmp_path / "folder.png" / "a.png")
    assert aeedge("compress", tmp_path / "fifo.png", "-m", conv).code == 3
    done = aeedge("compress", tmp_path / "folder.png", "-m", conv, "-o", tmp_path / "out")
    assert done.code == 0
    assert (tmp_path / "out/a.png.aee").exists()


def test_an_unreadable_file_is_named_and_the_others_done(aeedge, draw, conv, tmp_path, monkeypatch):
    draw(tmp_path / "in/a.png")
    denied = draw(tmp_path / "in/b.png")
    opened = os.open

    def deny(path, *rest, **options):
        if Path(path) == denied:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr("aeedge.sources.os.open", deny)
    done = aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out")
    assert done.code == 1
    assert done.errors == [f"error: {denied}: cannot be read: Permission denied; name an existing, readable file"]
    assert (tmp_path / "out/a.png.aee").exists()
