import os
from pathlib import Path

import pytest

from aeedge.sources import Source, find_sources
from aeedge_runtime.errors import AeedgeWarning, ArgumentError, InputError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


def found_in(*arguments: Path) -> list[str]:
    return [source.relative.as_posix() for source in find_sources([str(path) for path in arguments], IMAGE_SUFFIXES)]


def test_what_is_no_image_is_left_out_of_a_folder_and_counted(tmp_path):
    touch(tmp_path, "a.png", "notes.txt", "b.aee")
    os.mkfifo(tmp_path / "f.png")
    with pytest.warns(AeedgeWarning, match="3 files left out"):
        assert found_in(tmp_path) == ["a.png"]


def test_linked_folders_are_named_and_a_link_to_nothing_is_an_input(tmp_path):
    touch(tmp_path, "in/a.png", "elsewhere/b.png")
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "gone.png").symlink_to("nowhere.png")
    with pytest.warns(AeedgeWarning, match="1 linked folder left out") as warned:
        assert found_in(tmp_path / "in") == ["a.png", "gone.png"]
    assert len(warned) == 1


def test_what_a_killed_run_left_is_no_input(tmp_path):
    touch(tmp_path, "a.png", ".aeedge-0123.tmp/b.png", "deep/.aeedge-4567.tmp/c.png", "deep/.aeedge-89.png")
    assert found_in(tmp_path) == ["a.png"]


@pytest.mark.parametrize(("files", "found"), [((), "no file"), (("notes.txt",), "1 other file")])
def test_a_folder_without_images_is_an_error(tmp_path, files, found):
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=f"found {found}, expected files named"):
        found_in(tmp_path)


@pytest.mark.parametrize("arguments", [["-", "-"], ["a.png", "-", "-"]])
def test_standard_input_comes_once(arguments):
    with pytest.raises(ArgumentError, match="once"):
        find_sources(arguments, IMAGE_SUFFIXES)


def test_a_file_named_minus_is_a_file():
    (source,) = find_sources(["./-"], IMAGE_SUFFIXES)
    assert source.path == Path("-")


def test_a_fifo_is_refused_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(InputError, match="found a FIFO"):
        Source(tmp_path / "x.png", Path("x.png")).read()


@pytest.mark.parametrize(("name", "message"), [("absent.png", "cannot be read"), ("folder", "found a folder")])
def test_what_cannot_be_read_is_an_input_error(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=message):
        Source(tmp_path / name, Path(name)).read()


def test_links_to_folders_are_not_followed(tmp_path):
    touch(tmp_path, "in/a.png")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    with pytest.warns(AeedgeWarning, match="1 linked folder left out"):
        assert found_in(tmp_path / "in") == ["a.png"]
