import gzip
import struct

import numpy as np
import pytest

from aeedge.training.config import DataConfig
from aeedge.training.data.datasets import open_dataset
from aeedge.training.data.idx import find_idx, read_idx
from aeedge_runtime.errors import InputError

IMAGES = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)


def idx(values):
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def mnist(root, compress=False):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for stem, values in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", np.array([4, 0, 9], np.uint8))):
        data = idx(values)
        place = folder / f"t10k-{stem}{'.gz' if compress else ''}"
        place.write_bytes(gzip.compress(data) if compress else data)
    return folder


@pytest.mark.parametrize("compress", [False, True])
def test_mnist_needs_no_torchvision(tmp_path, compress, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchvision", None)
    mnist(tmp_path, compress)
    images = open_dataset(DataConfig(source="mnist", data_dir=str(tmp_path)), 1, "test")
    assert len(images) == 3
    assert (images.image(1)[..., 0] == IMAGES[1]).all()
    assert [images.label(index) for index in range(3)] == [4, 0, 9]


def test_a_missing_file_is_not_found(tmp_path):
    folder = mnist(tmp_path)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert find_idx(folder, test=True) is None
    assert find_idx(folder, test=False) is None


@pytest.mark.parametrize("length", range(len(idx(IMAGES))))
def test_every_cut_is_refused(tmp_path, length):
    place = tmp_path / "images"
    place.write_bytes(idx(IMAGES)[:length])
    with pytest.raises(InputError, match="get the file again"):
        read_idx(place)


@pytest.mark.parametrize(
    "data", [idx(IMAGES) + b"x", b"\x00\x00\x0d\x01" + bytes(8), b"PNG", b"\x00\x00\x08\x03" + b"\xff" * 12]
)
def test_other_files_are_refused(tmp_path, data):
    place = tmp_path / "images"
    place.write_bytes(data)
    with pytest.raises(InputError, match="get the file again"):
        read_idx(place)


def test_a_damaged_gzip_is_refused(tmp_path):
    place = tmp_path / "images.gz"
    place.write_bytes(gzip.compress(idx(IMAGES))[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(place)
