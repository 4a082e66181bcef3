import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from aeedge_runtime import AeedgeError, ArgumentError, files
from aeedge_runtime.files import (
    NotRegularFileError,
    atomic_path,
    atomic_write,
    open_regular,
    publish_folder,
    read_regular,
    require_writable,
)


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
    with pytest.raises(FileExistsError, match="already exists"):
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
    with pytest.raises(FileExistsError, match=f"{tmp_path / 'a'} already exists"):
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("read", [open_regular, lambda path: read_regular(path, 10)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, kind in ((tmp_path / "fifo", "a FIFO"), (tmp_path, "a folder"), (Path("/dev/null"), "a device")):
        with pytest.raises(NotRegularFileError) as caught:
            read(path)
        assert caught.value.strerror.startswith(kind)


def test_a_regular_file_is_read_up_to_its_limit(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with open_regular(tmp_path / "a") as file:
        assert file.read() == b"12345"
    assert read_regular(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes") as caught:
        read_regular(tmp_path / "a", 4)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 4)


def test_a_folder_appears_whole(tmp_path) -> None:
    with publish_folder(tmp_path / "deep" / "new") as temporary:
        atomic_write(temporary / "a", b"data")
        assert not (tmp_path / "deep" / "new").exists()
    assert (tmp_path / "deep" / "new" / "a").read_bytes() == b"data"
    assert left(tmp_path / "deep") == ["new"]


def fill_and_stop(folder: Path) -> None:
    with publish_folder(folder, replace=True) as temporary:
        atomic_write(temporary / "a", b"new")
        raise KeyboardInterrupt


def test_a_folder_that_fails_leaves_what_was_there(tmp_path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_bytes(b"old")
    for folder in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            fill_and_stop(folder)
    assert (tmp_path / "old" / "a").read_bytes() == b"old"
    assert left(tmp_path) == ["old"]


def test_a_file_of_another_writer_is_complete_or_absent(tmp_path) -> None:
    def write(data: bytes, error: Exception | None = None) -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes(data)
            if error:
                raise error

    write(b"old")
    with pytest.raises(ValueError, match="halfway"):
        write(b"ne", ValueError("halfway"))
    assert (tmp_path / "a").read_bytes() == b"old"
    write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert left(tmp_path) == ["a"]


def test_a_folder_is_replaced_only_on_request(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(FileExistsError), publish_folder(tmp_path / "a"):
        pytest.fail("the folder exists")
    with publish_folder(tmp_path / "a", replace=True) as temporary:
        atomic_write(temporary / "new", b"")
    assert left(tmp_path / "a") == ["new"]
    assert left(tmp_path) == ["a"]


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path) -> None:
    with pytest.raises(FileExistsError), publish_folder(tmp_path / "a"):
        (tmp_path / "a").mkdir()
    assert left(tmp_path / "a") == []
    assert left(tmp_path) == ["a"]


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.suffix == ".tmp":
            raise PermissionError(1, "Operation not permitted")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(PermissionError), publish_folder(tmp_path / "a", replace=True):
        pass
    assert left(tmp_path / "a") == ["old"]
    assert left(tmp_path) == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_linked_folder_is_replaced_where_it_is(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with publish_folder(tmp_path / "link", replace=True) as temporary:
        atomic_write(temporary / "a", b"")
    assert (tmp_path / "link").is_symlink()
    assert left(tmp_path / "real") == ["a"]


def test_paths_that_cannot_be_written_are_refused_before_any_work(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    require_writable(tmp_path / "new" / "deep" / "a")
    with pytest.raises(ArgumentError, match="is a file"):
        require_writable(tmp_path / "file" / "a")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(AeedgeError, match="not writable"):
        require_writable(tmp_path / "a")
