import os
import stat
import threading
from pathlib import Path

import pytest

from aeedge_runtime import files
from aeedge_runtime.files import atomic_write


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_with_sane_permissions(tmp_path) -> None:
    umask = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"data")
    finally:
        os.umask(umask)
    assert (tmp_path / "a").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_cleaning_up_leaves_nothing(tmp_path, monkeypatch, end) -> None:
    unlink, calls = Path.unlink, []

    def interrupted(path: Path, missing_ok: bool = False) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise end
        unlink(path, missing_ok=missing_ok)

    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Path, "unlink", interrupted)
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(end):
        atomic_write(tmp_path / "a", b"data")
    assert left(tmp_path) == []


def test_an_error_names_the_file_not_its_temporary_name(tmp_path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        atomic_write(tmp_path / "missing" / "a", b"data")
    assert caught.value.filename == str(tmp_path / "missing" / "a")


def test_keeps_an_existing_file(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="exists already"):
        atomic_write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    (tmp_path / "a").chmod(0o600)
    atomic_write(tmp_path / "a", b"new", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert left(tmp_path) == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="there a rename refuses by itself")
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files, "_existing_mode", lambda path: None)
    with pytest.raises(FileExistsError, match=f"{tmp_path / 'a'} exists already"):
        atomic_write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert left(tmp_path) == ["a"]


def test_nothing_is_written_where_a_file_exists(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files, "_write", lambda *_: pytest.fail("a temporary file was written"))
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "a", b"new")


@pytest.mark.parametrize("links", [True, False])
def test_keeps_a_file_that_appears_meanwhile(tmp_path, monkeypatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    write = files._write

    def slow(path: Path, data: bytes, mode: int | None) -> None:
        write(path, data, mode)
        (tmp_path / "a").write_bytes(b"other")

    monkeypatch.setattr(files, "_write", slow)
    with pytest.raises(FileExistsError) as caught:
        atomic_write(tmp_path / "a", b"new")
    assert str(tmp_path / "a") in str(caught.value)
    assert files.TEMPORARY_PREFIX not in str(caught.value)
    assert (tmp_path / "a").read_bytes() == b"other"
    assert left(tmp_path) == ["a"]


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_works_without_hard_links(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "link", refuse)
    atomic_write(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
    assert left(tmp_path) == ["a"]


def test_of_many_writers_one_wins(tmp_path) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        try:
            atomic_write(tmp_path / "a", b"%d" % number * 1000)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "a").read_bytes() == b"%d" % won[0] * 1000
    assert left(tmp_path) == ["a"]


def test_nothing_is_left_after_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(PermissionError):
        atomic_write(tmp_path / "a", b"data")
    assert left(tmp_path) == []


def test_longest_and_oddest_names(tmp_path) -> None:
    names = ["x" * 255, "a b#\n", "-rf", "ä", os.fsdecode(b"\xff\xfe")]
    for name in names:
        atomic_write(tmp_path / name, b"data")
    assert left(tmp_path) == sorted(names)


def test_folders_and_missing_folders(tmp_path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "d", b"data")
    with pytest.raises(OSError, match="directory"):
        atomic_write(tmp_path / "d", b"data", overwrite=True)
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "none" / "a", b"data")
    assert left(tmp_path) == ["d"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_written_to() -> None:
    atomic_write("/dev/null", b"data")
    with pytest.raises(OSError, match="No space left"):
        atomic_write("/dev/full", b"data")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_written_to_where_somebody_reads(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device or address"):
        atomic_write(tmp_path / "fifo", b"data")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    data = bytes(40_000)
    atomic_write(tmp_path / "fifo", data)
    assert os.read(reader, 100_000) == data
    os.close(reader)
    assert left(tmp_path) == ["fifo"]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_is_kept_and_its_file_overwritten(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"old")
    for name, place in (("link", "folder/a"), ("dangling", "folder/b")):
        (tmp_path / name).symlink_to(place)
        with pytest.raises(FileExistsError):
            atomic_write(tmp_path / name, b"new")
        atomic_write(tmp_path / name, b"new", overwrite=True)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / place).read_bytes() == b"new"
    assert left(tmp_path) == ["dangling", "folder", "link"]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd here")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_by_its_name_is_written_to(overwrite) -> None:
    read, write = os.pipe()
    atomic_write(f"/dev/fd/{write}", b"data", overwrite=overwrite)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"data"
