import os
from pathlib import Path

import click
import pytest

from aeedge.cli.batch.outputs import Job, OutputGuard, compressed_name, decompressed_name, plan, unpacked_folder
from aeedge.sources import Source, find_sources
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


def outputs(arguments: list[Path], output: str | None) -> list[str]:
    jobs = plan(find_sources([str(item) for item in arguments], IMAGE_SUFFIXES), output, compressed_name)
    return [str(job.output) for job in jobs]


def test_names_never_meet_whatever_their_suffix():
    names = ["a.png", "a.jpg", "a", "a.tar.png", ".png"]
    assert len({compressed_name(name) for name in names}) == len(names)
    assert [decompressed_name(compressed_name(name)) for name in names] == [
        "a.png",
        "a.jpg.png",
        "a.png",
        "a.tar.png",
        ".png",
    ]


def test_decompressed_names():
    assert decompressed_name("x.AEE") == "x.png"
    assert decompressed_name("x.PNG.aee") == "x.PNG"
    assert decompressed_name(".aee") == ".aee.png"
    assert unpacked_folder("pack.aee") == "pack"


def test_a_file_goes_beside_itself(tmp_path):
    (path,) = touch(tmp_path, "a.jpg")
    assert outputs([path], None) == [f"{path}.aee"]


def test_one_file_goes_to_the_name_given_or_into_the_folder_given(tmp_path):
    (path,) = touch(tmp_path, "a.jpg")
    assert outputs([path], str(tmp_path / "new")) == [str(tmp_path / "new")]
    assert outputs([path], str(tmp_path / "new/")) == [str(tmp_path / "new")]
    assert outputs([path], f"{tmp_path}/new/") == [str(tmp_path / "new/a.jpg.aee")]
    assert outputs([path], str(tmp_path)) == [str(tmp_path / "a.jpg.aee")]


def test_a_new_folder_has_no_name_of_a_picture(tmp_path):
    one, two = touch(tmp_path, "a.jpg", "b.jpg")
    for output in ("new.png", "new.JPG"):
        with pytest.raises(click.UsageError, match="suffix of an image file, expected a folder"):
            outputs([one, two], str(tmp_path / output))
    assert outputs([one, two], f"{tmp_path}/new.png/")[0] == str(tmp_path / "new.png/a.jpg.aee")
    (tmp_path / "old.png").mkdir()
    assert outputs([one, two], str(tmp_path / "old.png"))[0] == str(tmp_path / "old.png/a.jpg.aee")


def test_one_folder_keeps_its_structure(tmp_path):
    touch(tmp_path / "in", "b.png", "a.png", "a.jpg", "deep/er/a.png", "x.png/y.PNG")
    found = outputs([tmp_path / "in"], "out")
    assert found == [f"out/{name}.aee" for name in ("a.jpg", "a.png", "b.png", "deep/er/a.png", "x.png/y.PNG")]


def test_several_folders_keep_their_names(tmp_path):
    touch(tmp_path, "one/a.png", "two/a.png", "c.png")
    found = outputs([tmp_path / "one", tmp_path / "two", tmp_path / "c.png"], "out")
    assert found == ["out/one/a.png.aee", "out/two/a.png.aee", "out/c.png.aee"]


def test_inputs_that_would_meet_are_refused(tmp_path):
    one, two = touch(tmp_path, "one/a.png", "two/a.png")
    with pytest.raises(ArgumentError, match="would both be written to"):
        outputs([one, two], "out")


def test_an_input_that_comes_twice_is_named(tmp_path):
    (place,) = touch(tmp_path, "a.png")
    with pytest.raises(ArgumentError, match=f"{place} is listed twice"):
        outputs([place, place], str(tmp_path / "out"))


def test_standard_input_goes_to_standard_output():
    (source,) = find_sources(["-"], IMAGE_SUFFIXES)
    assert plan([source], None, compressed_name) == [Job(source, None)]
    assert plan([source], "x.aee", compressed_name) == [Job(source, Path("x.aee"))]


def test_outputs_that_do_not_fit_the_inputs_are_refused(tmp_path):
    one, two = touch(tmp_path, "in/a.png", "b.png")
    for arguments, output in (
        ([one, two], "-"),
        ([one, two], str(two)),
        ([tmp_path / "in"], None),
        (["-"], str(tmp_path)),
        (["-", two], None),
    ):
        with pytest.raises(click.UsageError):
            plan(find_sources([str(item) for item in arguments], IMAGE_SUFFIXES), output, compressed_name)


def test_the_guard_protects_inputs_even_with_force(tmp_path):
    (path,) = touch(tmp_path, "a.png")
    (tmp_path / "link.aee").symlink_to(path)
    guard = OutputGuard([Source(path, Path("a.png"))], force=True, skip_existing=False)
    for output in (path, tmp_path / "link.aee"):
        with pytest.raises(ArgumentError, match="is also an input"):
            guard.wants(output)


def test_the_guard_keeps_existing_files(tmp_path):
    (path,) = touch(tmp_path, "out.aee")
    with pytest.raises(AeedgeError, match="exists; --force replaces it, --skip-existing leaves it"):
        OutputGuard([], force=False, skip_existing=False).wants(path)
    with pytest.raises(AeedgeError, match="exists; --force replaces it, or choose another path"):
        OutputGuard([], force=False, skip_existing=None).wants(path)
    assert OutputGuard([], force=True, skip_existing=False).wants(path)
    assert not OutputGuard([], force=False, skip_existing=True).wants(path)
    assert OutputGuard([], force=False, skip_existing=False).wants(tmp_path / "free")
    with pytest.raises(ArgumentError, match="is a folder, expected a file"):
        OutputGuard([], force=True, skip_existing=False).wants(tmp_path)
    with pytest.raises(click.UsageError):
        OutputGuard([], force=True, skip_existing=True)


def test_a_place_below_a_file_or_in_a_closed_folder_is_refused_before_any_work(tmp_path, monkeypatch):
    guard = OutputGuard([], force=True, skip_existing=None)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert guard.wants(tmp_path / "new" / "deep" / "x.aee")
    assert guard.wants(tmp_path / "file")
    for below in ("file/x.aee", "file/deep/x.aee", "link/x.aee"):
        with pytest.raises(ArgumentError, match=f"{tmp_path / 'file'} is a file"):
            guard.wants(tmp_path / below)
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)
    for name in ("file", "x.aee", "new/deep/x.aee"):
        with pytest.raises(AeedgeError, match=f"{tmp_path} is not writable"):
            guard.wants(tmp_path / name)


def test_several_results_are_not_written_to_a_file(tmp_path):
    place = tmp_path / "notes"
    place.write_text("kept")
    sources = [Source(tmp_path / name, Path(name)) for name in ("a.png", "b.png")]
    with pytest.raises(click.UsageError, match="is a file, expected a folder because there are several inputs"):
        plan(sources, str(place), compressed_name)
