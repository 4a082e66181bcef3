import gzip

import numpy as np
import pytest
from PIL import Image

from aeedge.training.config import DataConfig
from aeedge.training.data.datasets import (
    ArrayImages,
    _split,
    center_crop,
    open_dataset,
    sample,
    sample_images,
)
from aeedge_runtime.errors import AeedgeWarning, ArgumentError

pytestmark = pytest.mark.torch


def write_images(place, sizes):
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(sizes))
    for number, (height, width) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")


def test_splits_are_disjoint_and_fixed(tmp_path):
    write_images(tmp_path / "a", [(20 + number, 24) for number in range(10)])
    data = DataConfig(source=str(tmp_path), held_out=0.3)
    train, held, test = (open_dataset(data, 3, split) for split in ("train", "held-out", "test"))
    names = [{path.name for path in part.paths} for part in (train, held, test)]
    assert len(names[0]) == 7
    assert len(names[1]) == 3
    assert not names[0] & names[1]
    assert names[1] == names[2]


def test_folder_with_train_and_test(tmp_path):
    write_images(tmp_path / "train", [(20, 20)] * 6)
    write_images(tmp_path / "test", [(20, 20)] * 3)
    assert len(open_dataset(DataConfig(source=str(tmp_path), held_out=0.5), 3, "test")) == 3
    assert len(open_dataset(DataConfig(source=str(tmp_path), held_out=0.5), 3, "train")) == 3


def test_a_class_without_images(tmp_path):
    write_images(tmp_path / "bird", [(8, 8)] * 4)
    with pytest.raises(ArgumentError, match="no images are left for the train split"):
        open_dataset(DataConfig(source=str(tmp_path), held_out=0.25, only_label=7), 3)


def test_a_single_image_cannot_be_divided(tmp_path):
    write_images(tmp_path, [(8, 8)])
    with pytest.raises(ArgumentError, match="found 1 image, expected at least 2, one of them to hold out"):
        open_dataset(DataConfig(source=str(tmp_path)), 3)
    with pytest.raises(ArgumentError, match="found 1 image, expected at least 2 to hold one out"):
        _split(number_images(1), DataConfig(), "train", 0)


@pytest.mark.parametrize("source", ["nowhere", "/no/such/folder"])
def test_missing_source_is_one_line(source):
    with pytest.raises(ArgumentError, match="expected a folder of images or") as caught:
        open_dataset(DataConfig(source=source), 3)
    assert "\n" not in str(caught.value)


def test_mnist_is_read_from_disk_without_download(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 50), ("t10k", 20)):
        pixels = np.arange(count * 784, dtype=np.uint32).astype(np.uint8).tobytes()
        header = b"\0\0\x08\x03" + b"".join(value.to_bytes(4, "big") for value in (count, 28, 28))
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels)
        labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(number % 10 for number in range(count))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
        (raw / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(b""))
    data = DataConfig(source="mnist", data_dir=str(tmp_path), held_out=0.1)
    assert len(open_dataset(data, 1, "train")) == 45
    assert len(open_dataset(data, 1, "held-out")) == 5
    assert len(open_dataset(data, 1, "test")) == 20
    assert open_dataset(data, 3, "test").image(0).shape == (28, 28, 3)


def test_color_to_gray_warns():
    with pytest.warns(AeedgeWarning, match="converted to gray"):
        images = open_dataset(DataConfig(source="synthetic-photos", count=3), 1)
    assert images.image(0).shape == (320, 320, 1)


def test_a_sample_of_images_is_fixed_by_the_seed():
    source = open_dataset(DataConfig(source="synthetic", count=30), 1)
    chosen = sample_images(source, 0, 10)
    assert len(chosen) == 10
    assert all(np.array_equal(a, b) for a, b in zip(chosen, sample_images(source, 0, 10), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(chosen, sample_images(source, 1, 10), strict=True))
    assert len(sample_images(source, 0, 31)) == 30


def test_large_images_are_cut_for_an_export():
    (image,) = sample_images(ArrayImages(np.zeros((1, 800, 700, 1), np.uint8)), 0, 1)
    assert image.shape == (768, 700, 1)


def test_a_sample_that_calibrates_scores_is_of_whole_images():
    chosen = sample(ArrayImages(np.zeros((3, 800, 700, 1), np.uint8)), 0, 2)
    assert [image.shape for image in chosen] == [(800, 700, 1)] * 2
    assert len(chosen) == 2


def number_images(count, size=4):
    images = np.zeros((count, size, size, 1), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ArrayImages(images)


def test_center_crop():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    assert center_crop(image, (2, 3))[:, :, 0].tolist() == [[6, 7, 8], [11, 12, 13]]
    assert center_crop(image, (9, 9)).shape == (4, 5, 1)
