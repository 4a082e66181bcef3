"""Commands on URLs: what is read from and written to them is what a local run reads and writes."""

import io

import pytest
from PIL import Image

from aeedge_runtime import Codec
from aeedge_runtime.remote import location

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory(draw, tmp_path):
    """A folder of two images and a text in memory."""
    system = fsspec.filesystem("memory")
    for name in ("a.jpg", "deep/b.png"):
        system.pipe_file(f"/in/{name}", draw(tmp_path / "in" / name).read_bytes())
    system.pipe_file("/in/notes.txt", b"")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_folder_there_and_back(aeedge, conv, memory, tmp_path):
    done = aeedge("compress", "memory://in", "-m", conv, "-o", "memory://out/", "--verify")
    assert (done.code, done.errors, len(done.warnings)) == (0, [], 1)
    assert location("memory://out").files() == ["a.jpg.aee", "deep/b.png.aee"]
    assert aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out").code == 0
    assert memory.cat_file("/out/deep/b.png.aee") == (tmp_path / "out/deep/b.png.aee").read_bytes()
    done = aeedge("decompress", "memory://out", "-m", conv, "-o", tmp_path / "back")
    assert done.code == 0
    assert (tmp_path / "back/a.jpg.png").is_file()


def test_one_object_next_to_its_input_is_kept_skipped_or_replaced(aeedge, conv, memory):
    assert aeedge("compress", "memory://in/a.jpg", "-m", conv).code == 0
    stream = memory.cat_file("/in/a.jpg.aee")
    memory.pipe_file("/in/a.jpg.aee", b"mine")
    assert aeedge("compress", "memory://in/a.jpg", "-m", conv).code == 1
    assert aeedge("compress", "memory://in/a.jpg", "-m", conv, "--skip-existing").code == 0
    assert memory.cat_file("/in/a.jpg.aee") == b"mine"
    assert aeedge("compress", "memory://in/a.jpg", "-m", conv, "--force").code == 0
    assert memory.cat_file("/in/a.jpg.aee") == stream


def test_an_input_is_never_overwritten(aeedge, conv, memory):
    done = aeedge("compress", "memory://in/a.jpg", "-m", conv, "-o", "memory://in/notes.txt", "--force")
    assert done.code == 0
    memory.pipe_file("/in/c.aee", memory.cat_file("/in/notes.txt"))
    assert aeedge("decompress", "memory://in/c.aee", "-m", conv, "-o", "memory://in/c.aee", "--force").code == 2


def test_a_packed_stream(aeedge, conv, memory):
    done = aeedge("compress", "memory://in", "-m", conv, "--pack", "memory://pack.aee")
    assert done.code == 0
    assert aeedge("decompress", "memory://pack.aee", "-m", conv).code == 0
    assert location("memory://pack").files() == ["a.jpg.png", "deep/b.png"]
    Image.open(io.BytesIO(memory.cat_file("/pack/deep/b.png"))).verify()


def test_info_view_and_verify(aeedge, conv, memory, tmp_path):
    for path in filter(lambda path: path.is_file(), conv.rglob("*")):
        memory.pipe_file(f"/bundle/{path.relative_to(conv).as_posix()}", path.read_bytes())
    assert aeedge("compress", "memory://in/a.jpg", "-m", "memory://bundle", "-o", "memory://x.aee").code == 0
    assert aeedge("info", "memory://x.aee", "--json").json["stream"]["width"] == 33
    assert aeedge("info", "memory://bundle", "--json").json["bundle"]["name"] == Codec.load(conv).bundle.manifest.name
    assert aeedge("verify", "memory://bundle").code == 0
    assert aeedge("view", "memory://x.aee", "-m", conv, "-o", tmp_path / "page.html").code == 0
    assert aeedge("info", "memory://nothing.aee").code == 3


def test_errors_of_a_remote_input_are_one_line(aeedge, conv, memory):
    done = aeedge("compress", "memory://in/none.png", "-m", conv)
    assert (done.code, len(done.errors)) == (3, 1)
    done = aeedge("compress", "nothere://in/none.png", "-m", conv)
    assert (done.code, len(done.errors)) == (2, 1)
    memory.pipe_file("/text/a.txt", b"")
    assert aeedge("compress", "memory://text", "-m", conv, "-o", "memory://out/").code == 3


@pytest.mark.slow
def test_an_evaluation(aeedge, conv, memory, draw, tmp_path):
    pytest.importorskip("bjontegaard")
    memory.pipe_file("/eval/a.png", draw(tmp_path / "a.png", 192, 192).read_bytes())
    done = aeedge("eval", conv, "--data", "memory://eval", "-o", tmp_path / "report", "--no-ssimulacra2")
    assert done.code == 0, done.stderr
