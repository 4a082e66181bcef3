import json
import shutil
from pathlib import Path

import pytest

from aeedge_export.writer import check_target, write_bundle
from aeedge_runtime.errors import AeedgeError, ArgumentError

pytestmark = pytest.mark.torch

MANIFEST = json.dumps({"stream_id": "00", "files": {"golden/0.png": {}}}).encode()
FILES = {"manifest.json": MANIFEST, "golden/0.png": b"png"}


def test_a_folder_appears_complete(tmp_path):
    write_bundle(tmp_path / "new" / "bundle", FILES, force=False)
    assert (tmp_path / "new" / "bundle" / "golden" / "0.png").read_bytes() == b"png"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]


@pytest.mark.parametrize("name", ["bundle", "bundle.aeb"])
def test_nothing_is_replaced_without_force(tmp_path, name):
    write_bundle(tmp_path / name, FILES, force=False)
    with pytest.raises(AeedgeError, match="--force"):
        write_bundle(tmp_path / name, FILES, force=False)
    write_bundle(tmp_path / name, {"manifest.json": MANIFEST}, force=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name == "bundle":
        assert [path.name for path in (tmp_path / name).iterdir()] == ["manifest.json"]


def test_what_is_no_bundle_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"jpg")
    (tmp_path / "notes").write_text("text")
    for name in ("photos", "notes"):
        with pytest.raises(ArgumentError, match="not a bundle"):
            check_target(tmp_path / name, force=True)


@pytest.mark.parametrize(
    "manifest", [b'{"name": "app"}', b"[]", b"{", b"[" * 100_000, b'{"files": [], "stream_id": "0"}', b'{"files": {}}']
)
def test_a_manifest_of_something_else_makes_no_bundle(tmp_path, manifest):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_bytes(manifest)
    (tmp_path / "app.aeb").write_bytes(manifest)
    for name in ("app", "app.aeb"):
        with pytest.raises(ArgumentError, match="not a bundle"):
            check_target(tmp_path / name, force=True)


def test_a_bundle_with_other_files_in_it_is_not_replaced(tmp_path):
    write_bundle(tmp_path / "bundle", FILES, force=False)
    write_bundle(tmp_path / "bundle" / "variant", FILES, force=False)
    with pytest.raises(ArgumentError, match=r'"variant/golden/0\.png" and 1 more'):
        write_bundle(tmp_path / "bundle", FILES, force=True)
    assert (tmp_path / "bundle" / "variant" / "manifest.json").exists()


@pytest.mark.parametrize("name", ["/", "."])
def test_a_place_without_a_name_is_refused(name):
    with pytest.raises(ArgumentError, match="has no name"):
        check_target(Path(name), force=True)


def test_a_folder_does_not_give_way_to_a_file_nor_the_other_way_round(tmp_path):
    files = {"manifest.json": b'{"files": {}, "stream_id": ""}'}
    write_bundle(tmp_path / "bundle", files, force=False)
    (tmp_path / "bundle").rename(tmp_path / "bundle.aeb")
    write_bundle(tmp_path / "other.aeb", files, force=False)
    (tmp_path / "other.aeb").rename(tmp_path / "other")
    for name in ("bundle.aeb", "other"):
        with pytest.raises(ArgumentError, match="not a bundle of this kind"):
            check_target(tmp_path / name, force=True)


def test_a_place_below_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="bundle"):
        check_target(tmp_path / "file" / "bundle", force=False)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_bundle(tmp_path / "bundle", {"manifest.json": b"{}", "z": None}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_cleaning_up_leaves_nothing(tmp_path, monkeypatch):
    remove, calls = shutil.rmtree, []

    def interrupted(path, ignore_errors=False):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "bundle", {"manifest.json": b"{}", "z": None}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_linked_folder_is_replaced_behind_its_link(tmp_path):
    write_bundle(tmp_path / "real", FILES, force=False)
    (tmp_path / "link").symlink_to("real")
    write_bundle(tmp_path / "link", {"manifest.json": MANIFEST}, force=True)
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["manifest.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize("moment", [0, 1])
def test_an_interrupted_replacement_leaves_the_old_bundle(tmp_path, monkeypatch, moment):
    write_bundle(tmp_path / "bundle", FILES, force=False)
    rename, calls = Path.rename, []

    def interrupted(path, target):
        calls.append(path)
        if len(calls) == moment + 1:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "bundle", {"manifest.json": MANIFEST}, force=True)
    assert (tmp_path / "bundle" / "golden" / "0.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "bundle").mkdir()
    write_bundle(tmp_path / "bundle", FILES, force=False)
    assert (tmp_path / "bundle" / "manifest.json").exists()
