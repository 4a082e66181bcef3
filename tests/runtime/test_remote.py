import errno
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import BUNDLES

from aeedge_runtime import AeedgeError, ArgumentError, BundleError, Codec, ModelNotFoundError, stream_info
from aeedge_runtime.files import NotRegularFileError
from aeedge_runtime.remote import RemotePath, is_url, location, write_location

PIXELS = np.arange(24 * 40 * 3, dtype=np.uint8).reshape(24, 40, 3)


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("text", ["s3://bucket/a.png", "HF://o/n", "memory://a", "simplecache::s3://bucket/a"])
def test_urls(text):
    assert is_url(text)
    assert location(text) == RemotePath(text)


@pytest.mark.parametrize("text", ["a.png", "/a/b", "a:/b", "C:\\a", "C://a", "-", "a/s3://b", ""])
def test_paths(text):
    assert not is_url(text)
    assert location(text) == Path(text)


def test_a_file_url_is_a_local_path():
    assert location("file:///a%20b/c.png") == Path("/a b/c.png")


def test_parts_of_a_path():
    path = location("s3://bucket/in/a.png/")
    assert (path.name, path.suffix, str(path)) == ("a.png", ".png", "s3://bucket/in/a.png")
    assert path.with_name("b.aee") == RemotePath("s3://bucket/in/b.aee")
    assert path / Path("c/d.png") == RemotePath("s3://bucket/in/a.png/c/d.png")
    assert pickle.loads(pickle.dumps(path)) == path


def test_files_are_written_once_listed_and_read(memory):
    folder = location("memory://out/")
    write_location(folder / "deep/b.aee", b"two", overwrite=False)
    write_location(folder / "a.aee", b"one", overwrite=False)
    with pytest.raises(FileExistsError):
        write_location(folder / "a.aee", b"new", overwrite=False)
    assert (folder / "a.aee").read_bytes() == b"one"
    write_location(folder / "a.aee", b"new", overwrite=True)
    assert (folder / "a.aee").read_bytes(3) == b"new"
    assert folder.files() == ["a.aee", "deep/b.aee"]
    assert (folder.is_dir(), folder.is_file(), (folder / "a.aee").is_file(), (folder / "no").exists()) == (
        *(True, False, True, False),
    )


def test_what_cannot_be_read_is_an_os_error(memory):
    write_location(location("memory://in/a"), b"four", overwrite=False)
    with pytest.raises(OSError, match="more than 3 bytes") as caught:
        location("memory://in/a").read_bytes(3)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError):
        location("memory://in/b").read_bytes()
    with pytest.raises(NotRegularFileError):
        location("memory://in").read_bytes()


def test_a_file_system_without_whole_objects_gets_a_rename(memory, monkeypatch):
    monkeypatch.setattr("aeedge_runtime.remote.WHOLE_OBJECTS", frozenset())
    path = location("memory://out/a")
    path.write_bytes(b"one")
    monkeypatch.setattr(type(memory), "mv", lambda *_: (_ for _ in ()).throw(RuntimeError("lost")))
    with pytest.raises(OSError, match="lost"):
        path.write_bytes(b"two", overwrite=True)
    assert path.read_bytes() == b"one"
    assert location("memory://out").files() == ["a"]


def test_a_protocol_that_is_not_known():
    pytest.importorskip("fsspec")
    with pytest.raises(ArgumentError, match="nothere"):
        location("nothere://a").exists()


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(AeedgeError, match=r's3:// .* pip install "aeedge\[remote\]"'):
        location("s3://bucket/a").read_bytes()


def test_the_codec_takes_urls_of_images_streams_and_bundles(memory):
    local = Codec.load(BUNDLES / "tiny-conv")
    stream = local.compress(PIXELS, stored_tiles=False)
    for path in (BUNDLES / "tiny-conv").rglob("*"):
        if path.is_file():
            name = path.relative_to(BUNDLES).as_posix()
            write_location(location(f"memory://bundles/{name}"), path.read_bytes(), overwrite=False)
    write_location(location("memory://a.aee"), stream, overwrite=False)
    codec = Codec.load("memory://bundles/tiny-conv")
    assert codec.bundle.hash == local.bundle.hash
    assert np.array_equal(codec.decompress("memory://a.aee"), local.decompress(stream))
    assert stream_info("memory://a.aee").width == 40
    assert pickle.loads(pickle.dumps(codec)).compress(PIXELS, stored_tiles=False) == stream
    with pytest.raises(ModelNotFoundError):
        Codec.load("memory://bundles/other")
    memory.pipe_file("/bundles/tiny-conv/entropy.npz", b"damaged")
    with pytest.raises(BundleError):
        Codec.load("memory://bundles/tiny-conv")
