import os
import sys
from importlib.metadata import EntryPoint

import pytest
from tiny import BUNDLES, copy_of, files_of, picture, zip_of

from aeedge_runtime import AeedgeWarning, Bundle, Codec, ModelNotFoundError
from aeedge_runtime.bundle import lookup
from aeedge_runtime.bundle.lookup import VARIABLE, find_by_stream_id, known_bundles


@pytest.fixture
def stream_id():
    return Bundle.load(BUNDLES / "tiny-conv").manifest.stream_id


def test_a_folder_of_bundles_a_bundle_and_a_file_are_searched(stream_id, monkeypatch, tmp_path):
    file = tmp_path / "conv.aeb"
    file.write_bytes(zip_of(files_of(BUNDLES / "tiny-conv")))
    for place in (BUNDLES, BUNDLES / "tiny-conv", file, tmp_path):
        monkeypatch.setenv(VARIABLE, str(place))
        assert find_by_stream_id(stream_id).manifest.name == Bundle.load(BUNDLES / "tiny-conv").manifest.name


def test_the_first_folder_wins(stream_id, monkeypatch, tmp_path):
    copy_of("tiny-conv", tmp_path / "mine")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(tmp_path), str(BUNDLES)]))
    assert find_by_stream_id(stream_id).source == tmp_path / "mine"


def test_shipped_bundles_are_found(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    photo = Bundle.load("photo")
    assert find_by_stream_id(photo.manifest.stream_id).hash == photo.hash


def test_an_unknown_id_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))
    with pytest.raises(ModelNotFoundError, match=f"0123456789abcdef.*{VARIABLE}"):
        find_by_stream_id("0123456789abcdef")


def test_damaged_bundles_and_missing_folders_do_not_hide_others(stream_id, monkeypatch, tmp_path):
    broken = copy_of("tiny-conv", tmp_path / "a-broken")
    (broken / "manifest.json").write_text("{")
    copy_of("tiny-conv", tmp_path / "whole")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(tmp_path / "nowhere"), str(tmp_path)]))
    with pytest.warns(AeedgeWarning) as found:
        assert find_by_stream_id(stream_id).source == tmp_path / "whole"
    assert len(found) == 2


def test_installed_packages_bring_bundles(stream_id, monkeypatch, tmp_path):
    package = tmp_path / "my_bundles"
    package.mkdir()
    (package / "__init__.py").write_text("from pathlib import Path\nfolder = Path(__file__).parent\n")
    copy_of("tiny-conv", package / "conv")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    entries = [
        EntryPoint("module", "my_bundles", lookup.GROUP),
        EntryPoint("path", "my_bundles:folder", lookup.GROUP),
        EntryPoint("broken", "no_such_package", lookup.GROUP),
    ]
    for entry in entries[:2]:
        monkeypatch.setattr(lookup, "entry_points", lambda group, entry=entry: [entry])
        assert find_by_stream_id(stream_id).source == package / "conv"
    monkeypatch.setattr(lookup, "entry_points", lambda group: entries[2:])
    with pytest.warns(AeedgeWarning, match="no_such_package"):
        assert len(list(known_bundles())) == 1
    sys.modules.pop("my_bundles", None)


def test_the_found_bundle_decodes_the_stream(stream_id, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))
    pixels = picture(24, 40, 3)
    data = Codec.load(BUNDLES / "tiny-conv", threads=1).compress(pixels)
    found = Codec.load(find_by_stream_id(stream_id), threads=1)
    assert found.decompress(data).shape == pixels.shape
