import pytest

from aeedge.training.config import DataConfig
from aeedge.training.data.datasets import (
    open_dataset,
)
from aeedge_runtime.errors import AeedgeError, AeedgeWarning

pytestmark = pytest.mark.torch


def test_a_download_that_fails_names_the_place(tmp_path, monkeypatch):
    datasets = pytest.importorskip("torchvision.datasets")

    def offline(root, download, train):
        raise (OSError("no route to host") if download else RuntimeError("not found"))

    monkeypatch.setattr(datasets, "CIFAR10", offline)
    with (
        pytest.warns(AeedgeWarning, match="downloading"),
        pytest.raises(AeedgeError, match=f"to {tmp_path} .*no route"),
    ):
        open_dataset(DataConfig(source="cifar10", data_dir=str(tmp_path)), 3)


def test_a_download_that_fails_leaves_no_empty_folders_and_says_one_line(tmp_path, monkeypatch):
    datasets = pytest.importorskip("torchvision.datasets")
    root = tmp_path / "new" / "data"

    def offline(place, download, train):
        if download:
            (root / "MNIST" / "raw").mkdir(parents=True)
            raise RuntimeError("Error downloading x:\nTried a, got:\nno route\n")
        raise RuntimeError("not found")

    monkeypatch.setattr(datasets, "MNIST", offline)
    with (
        pytest.warns(AeedgeWarning, match="downloading"),
        pytest.raises(AeedgeError, match=r"\(Error downloading x: Tried a, got: no route\)"),
    ):
        open_dataset(DataConfig(source="mnist", data_dir=str(root)), 1)
    assert not list(tmp_path.iterdir())
