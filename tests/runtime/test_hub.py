import hashlib
import sys
from types import ModuleType

import pytest
from tiny import BUNDLES

from aeedge_runtime import AeedgeError, ArgumentError, Bundle, BundleError, Codec, ModelNotFoundError
from aeedge_runtime.hub import HubBundle, is_hub_bundle

HASH = "0" * 64
CONV = BUNDLES / "tiny-conv"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A library that has one repository in its cache; tests/aeedge/test_hub.py asks a server with the real one."""
    commit = tmp_path / "c0ffee"
    commit.symlink_to(CONV, target_is_directory=True)
    library = ModuleType("huggingface_hub")
    library.asked = []

    def download(repository, name, revision=None):
        library.asked.append((repository, revision))
        if repository != "owner/name":
            raise RuntimeError("no such repository")
        return str(commit / name)

    library.hf_hub_download = download
    library.snapshot_download = lambda repository, revision, allow_patterns: download(repository, "", revision)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return library


def test_the_parts_of_an_address():
    assert HubBundle.parse("hf://owner/my.name") == ("owner/my.name", None, None)
    assert HubBundle.parse("hf://o/n@refs/pr/1") == ("o/n", "refs/pr/1", None)
    assert HubBundle.parse(f"hf://o/n@v1#{HASH}") == ("o/n", "v1", HASH)


@pytest.mark.parametrize("url", ["hf://name", "hf://o/n#123", "hf://o/n@", "s3://o/n", "hf://datasets/x", "hf://o n/x"])
def test_what_is_no_address(url):
    with pytest.raises(ArgumentError):
        HubBundle.parse(url)


def test_files_in_a_repository_and_data_are_no_bundles():
    assert is_hub_bundle("hf://o/n")
    assert is_hub_bundle("hf://o/n@refs/pr/1")
    assert not any(map(is_hub_bundle, ["hf://o/n/a.aeb", "hf://datasets/o/n", "hf://o/n/sub@x", "s3://o/n"]))


def test_a_bundle_is_loaded_at_the_commit_of_its_manifest(hub):
    codec = Codec.load("hf://owner/name@main")
    assert codec.bundle.hash == Bundle.load(CONV).hash
    assert str(codec.bundle.source) == "hf://owner/name@main"
    assert hub.asked == [("owner/name", "main"), ("owner/name", "c0ffee")]


def test_the_pinned_hash_is_that_of_the_manifest(hub):
    found = hashlib.sha256((CONV / "manifest.json").read_bytes()).hexdigest()
    assert Bundle.load(f"hf://owner/name#{found}").hash == found
    with pytest.raises(BundleError, match=found):
        Bundle.load(f"hf://owner/name#{HASH}")
    assert len(hub.asked) == 3  # nothing else is downloaded


def test_what_the_hub_refuses_is_a_model_not_found(hub):
    with pytest.raises(ModelNotFoundError, match="no such repository"):
        Bundle.load("hf://owner/other")


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(AeedgeError, match=r'pip install "aeedge\[hub\]"'):
        Bundle.load("hf://owner/name")
