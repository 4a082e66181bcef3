import os
from pathlib import Path

import click
import pytest

from aeedge.cli.outputs import Job, OutputGuard, compressed_name, decompressed_name, plan, unpacked_folder
from aeedge.cli.packing import names_to_pack, unpacked_paths
from aeedge.sources import Source, find_sources
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError, StreamError
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
        with pytest.raises(click.UsageError, match="found the name of a picture, expected that of a folder"):
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
    with pytest.raises(ArgumentError, match=f"found {place} twice among the inputs"):
        outputs([place, place], str(tmp_path / "out"))


def test_what_is_no_image_is_left_out_of_a_folder_and_counted(tmp_path, capsys):
    touch(tmp_path, "a.png", "notes.txt", "b.aee")
    os.mkfifo(tmp_path / "f.png")
    assert len(outputs([tmp_path], "out")) == 1
    assert "3 files left out" in capsys.readouterr().err


def test_linked_folders_are_named_and_a_link_to_nothing_is_an_input(tmp_path, capsys):
    touch(tmp_path, "in/a.png", "elsewhere/b.png")
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "gone.png").symlink_to("nowhere.png")
    assert outputs([tmp_path / "in"], "out") == ["out/a.png.aee", "out/gone.png.aee"]
    found = capsys.readouterr().err
    assert "1 linked folder left out" in found
    assert "not named" not in found


def test_what_a_killed_run_left_is_no_input(tmp_path, capsys):
    touch(tmp_path, "a.png", ".aeedge-0123.tmp/b.png", "deep/.aeedge-4567.tmp/c.png", "deep/.aeedge-89.png")
    assert outputs([tmp_path], "out") == ["out/a.png.aee"]
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize(("files", "found"), [((), "no file"), (("notes.txt",), "1 other file")])
def test_a_folder_without_images_is_an_error(tmp_path, files, found):
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=f"found {found}, expected files named"):
        outputs([tmp_path], "out")


@pytest.mark.parametrize("arguments", [["-", "-"], ["a.png", "-", "-"]])
def test_standard_input_comes_once(arguments):
    with pytest.raises(click.UsageError):
        find_sources(arguments, IMAGE_SUFFIXES)


def test_standard_input_goes_to_standard_output():
    (source,) = find_sources(["-"], IMAGE_SUFFIXES)
    assert plan([source], None, compressed_name) == [Job(source, None)]
    assert plan([source], "x.aee", compressed_name) == [Job(source, Path("x.aee"))]


def test_a_file_named_minus_is_a_file():
    (source,) = find_sources(["./-"], IMAGE_SUFFIXES)
    assert source.path == Path("-")


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


def test_a_fifo_is_refused_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(InputError, match="found a FIFO"):
        Source(tmp_path / "x.png", Path("x.png")).read()


@pytest.mark.parametrize("name", ["absent.png", "folder"])
def test_what_cannot_be_read_is_an_input_error(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        Source(tmp_path / name, Path(name)).read()


def test_links_to_folders_are_not_followed(tmp_path):
    touch(tmp_path, "in/a.png")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    assert len(outputs([tmp_path / "in"], "out")) == 1


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
    with pytest.raises(AeedgeError, match="exists; --force replaces it, or name another place"):
        OutputGuard([], force=False, skip_existing=None).wants(path)
    assert OutputGuard([], force=True, skip_existing=False).wants(path)
    assert not OutputGuard([], force=False, skip_existing=True).wants(path)
    assert OutputGuard([], force=False, skip_existing=False).wants(tmp_path / "free")
    with pytest.raises(ArgumentError, match="found a folder"):
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
        with pytest.raises(ArgumentError, match=f"found a file at {tmp_path / 'file'}, expected a folder"):
            guard.wants(tmp_path / below)
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)
    for name in ("file", "x.aee", "new/deep/x.aee"):
        with pytest.raises(AeedgeError, match=f"{tmp_path} may not be written to"):
            guard.wants(tmp_path / name)


def test_packed_names_keep_every_byte():
    sources = [Source(Path("in") / name, Path(name)) for name in ("a.jpg", "deep/b.png", os.fsdecode(b"\xff\n.png"))]
    names = names_to_pack(sources)
    assert names == [b"a.jpg", b"deep/b.png", b"\xff\n.png"]
    assert unpacked_paths(names, 3) == [Path("a.jpg.png"), Path("deep/b.png"), Path(os.fsdecode(b"\xff\n.png"))]


def test_packed_names_that_would_meet_are_refused():
    with pytest.raises(ArgumentError, match=r"both be decompressed to a\.png"):
        names_to_pack([Source(Path("a"), Path("a")), Source(Path("a.png"), Path("a.png"))])
    inside = Source(Path("d/a.png/x/b.png"), Path("a.png/x/b.png"))
    with pytest.raises(
        ArgumentError, match=r"^a would be decompressed to a\.png, a folder that d/a\.png/x/b\.png needs"
    ):
        names_to_pack([inside, Source(Path("a"), Path("a"))])
    with pytest.raises(StreamError, match="images 1 and 2"):
        unpacked_paths([b"a", b"a.png"], 2)


def test_packed_images_without_names_are_numbered():
    assert unpacked_paths(None, 2) == [Path("0001.png"), Path("0002.png")]
    assert unpacked_paths(None, 12345)[0] == Path("00001.png")


def test_packed_names_never_lead_out_of_the_folder():
    with pytest.raises(StreamError, match="expected a path below a folder"):
        unpacked_paths([b"../a.png"], 1)


def test_several_results_are_not_written_to_a_file(tmp_path):
    place = tmp_path / "notes"
    place.write_text("kept")
    sources = [Source(tmp_path / name, Path(name)) for name in ("a.png", "b.png")]
    with pytest.raises(click.UsageError, match="found a file, expected a folder, as there are several inputs"):
        plan(sources, str(place), compressed_name)
