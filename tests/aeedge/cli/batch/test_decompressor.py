from pathlib import Path

import numpy as np
import pytest

from aeedge.cli.batch import decompressor as restoration
from aeedge.cli.batch.packing import unpacked_paths
from aeedge_runtime import Codec, StreamError, files
from aeedge_runtime.stream.container import Stream, write_stream


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


def bytes_of(value: int):

    return np.full((8, 8, 3), value, np.uint8)


def test_a_new_folder_appears_only_when_complete(aeedge, draw, conv, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        draw(tmp_path / "in" / name)
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    from aeedge.cli.batch import decompressor as restoration

    writes = []

    def full_disk(path, data, *, overwrite):
        writes.append(path)
        if len(writes) == 2:
            raise OSError(28, "No space left on device", str(path))
        Path(path).write_bytes(data)

    monkeypatch.setattr(restoration, "write_location", full_disk)
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv)
    assert done.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.aee", "in"]


def test_a_forged_count_is_refused_before_places_are_made(aeedge, conv, tmp_path, monkeypatch):
    stream_id = Codec.load(conv).bundle.stream_id
    for wanted, code in ((stream_id, 3), (bytes(8), 4)):
        place = tmp_path / "bomb.aee"
        place.write_bytes(write_stream(Stream(wanted, 50, 1 << 24, 65535, 65535, False, [b"x"], 0)))
        monkeypatch.setattr(restoration, "unpacked_paths", lambda *_: pytest.fail("made places"))
        done = aeedge("decompress", place, "-m", conv, "-o", tmp_path / "out")
        assert (done.code, len(done.errors)) == (code, 1)
    assert not (tmp_path / "out").exists()


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
    assert all(str(tmp_path / "all") + " already exists" in line for line in done.errors)
    assert ((tmp_path / "all/a.png").read_bytes() == b"rival") == (word != "--force")
    assert tree(tmp_path) == ["all.aee", "all/a.png"]
