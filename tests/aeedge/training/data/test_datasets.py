import gzip
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aeedge.training import randomness
from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data import folder
from aeedge.training.data.augmentation import Augmentation
from aeedge.training.data.batches import BatchSource, StepInfo, prepare, sample_size
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.datasets import (
    ArrayImages,
    _split,
    center_crop,
    open_dataset,
    run_images,
    sample_images,
    synthetic,
)
from aeedge.training.data.folder import FolderImages, held_out_paths, image_paths
from aeedge_runtime.errors import AeedgeError, AeedgeWarning, ArgumentError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

pytestmark = pytest.mark.torch


def write_images(place, sizes):
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(sizes))
    for number, (height, width) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")


def test_uniform_depends_on_the_place_not_on_the_division():
    whole = randomness.uniform(1, 2, "x", 0, (8, 3, 5))
    assert np.array_equal(randomness.uniform(1, 2, "x", 3, (2, 3, 5)), whole[3:5])
    assert not np.array_equal(randomness.uniform(1, 3, "x", 0, (8, 3, 5)), whole)
    assert not np.array_equal(randomness.uniform(1, 2, "y", 0, (8, 3, 5)), whole)
    assert 0 <= whole.min() <= whole.max() < 1


def test_normal_is_normal_and_pinned():
    values = randomness.normal(0, 0, "x", 0, (400, 100))
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(randomness.normal(0, 0, "x", 100, (2, 100)), values[100:102])
    assert randomness.uniform(0, 0, "pin", 0, (1, 2)).tolist() == [[0.469751238822937, 0.7433239817619324]]


def test_synthetic_digits_are_fixed_and_varied():
    first, labels = synthetic.digits(3, 0, 60)
    again, _ = synthetic.digits(3, 20, 40)
    assert first.shape == (60, 28, 28, 1)
    assert np.array_equal(first[20:], again)
    assert len(set(labels.tolist())) == 10
    assert (first.reshape(60, -1).max(1) > 120).all()
    assert len({image.tobytes() for image in first}) == 60


def test_synthetic_photos_are_fixed_and_colored():
    scene = synthetic.photo(3, 1)
    assert scene.shape == (320, 320, 3)
    assert np.array_equal(scene, synthetic.photo(3, 1))
    assert not np.array_equal(scene, synthetic.photo(3, 2))
    assert scene.std() > 10


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


def test_class_folders_give_labels(tmp_path):
    for name in ("bird", "cat"):
        write_images(tmp_path / name, [(8, 8)] * 4)
    images = open_dataset(DataConfig(source=str(tmp_path), held_out=0.25), 3)
    assert {images.label(index) for index in range(len(images))} == {0, 1}
    only = open_dataset(DataConfig(source=str(tmp_path), held_out=0.25, only_label=1), 3)
    assert {only.label(index) for index in range(len(only))} == {1}


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


def test_a_folder_without_a_usable_image(tmp_path):
    write_images(tmp_path, [(10, 40)] * 3)
    with pytest.warns(AeedgeWarning), pytest.raises(ArgumentError, match="no usable image is left of 3"):
        FolderImages(tmp_path, image_paths(tmp_path), 3, (32, 32))


def test_broken_and_small_files_are_named_and_skipped(tmp_path):
    write_images(tmp_path, [(40, 40)] * 4 + [(10, 40)])
    (tmp_path / "broken.png").write_bytes(b"not an image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:1500])
    with pytest.warns(AeedgeWarning) as caught:
        images = FolderImages(tmp_path, image_paths(tmp_path), 3, (32, 32))
    text = " ".join(str(warning.message) for warning in caught)
    assert len(images) == 4
    assert all(name in text for name in ("broken.png", "cut.png", "4.png"))


def test_a_large_folder_is_decoded_when_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MEMORY_LIMIT", 0)
    write_images(tmp_path, [(8, 8)] * 3)
    images = FolderImages(tmp_path, image_paths(tmp_path), 3)
    expected = images.image(2)
    (tmp_path / "1.png").write_bytes(b"gone bad")
    with pytest.warns(AeedgeWarning, match="1.png"):
        assert np.array_equal(images.image(1), expected)


@pytest.mark.parametrize("source", ["nowhere", "/no/such/folder"])
def test_missing_source_is_one_line(source):
    with pytest.raises(ArgumentError, match="expected a folder of images or") as caught:
        open_dataset(DataConfig(source=source), 3)
    assert "\n" not in str(caught.value)


def test_held_out_files_are_pinned():
    names = ("a.png", "b/ä.png", "b/日本.png", "c.jpg", "d d.png", "e.png")
    chosen = held_out_paths(Path("root"), [Path("root") / name for name in names], 3, 7)
    assert chosen == {Path("root") / name for name in ("b/ä.png", "b/日本.png", "d d.png")}


@pytest.mark.parametrize("divided", [False, True])
def test_classes_have_the_same_numbers_in_every_split(tmp_path, divided):
    for name in "abcdef":
        write_images(tmp_path / ("train" if divided else "") / name, [(8, 8)] * 3)
    for name in ("a0", "f") if divided else ():
        write_images(tmp_path / "test" / name, [(8, 8)] * 3)
    order = ["a", "a0", "b", "c", "d", "e", "f"] if divided else list("abcdef")
    for split in ("train", "held-out", "test"):
        images = open_dataset(DataConfig(source=str(tmp_path), held_out=0.2), 3, split)
        for index, path in enumerate(images.paths):
            assert order[images.label(index)] == path.parent.name


def test_files_of_hidden_folders_are_left_out(tmp_path):
    write_images(tmp_path / ".hidden" / "set", [(8, 8)])  # a hidden folder above is nobody's business
    write_images(tmp_path / ".hidden" / "set" / ".ipynb_checkpoints", [(8, 8)])
    assert image_paths(tmp_path / ".hidden" / "set") == [tmp_path / ".hidden" / "set" / "0.png"]


def test_files_smaller_than_a_patch_are_named_and_skipped(tmp_path):
    write_images(tmp_path, [(28, 28)] * 9 + [(20, 28)])
    config = RunConfig(model={"family": "dense", "channels": 3}, data=DataConfig(source=str(tmp_path), held_out=0.2))
    with pytest.warns(AeedgeWarning, match=r"smaller than the training crop of 28x28: .*9\.png"):
        trained = run_images(config, "train")
    assert len(trained) + len(run_images(config, "held-out")) == 9


def test_colors_that_a_model_of_gray_does_not_see_are_told(tmp_path):
    write_images(tmp_path, [(28, 28)] * 3)
    for number in range(3):
        Image.new("L", (28, 28)).save(tmp_path / f"gray{number}.png")
    data = DataConfig(source=str(tmp_path), held_out=0.1)
    with pytest.warns(AeedgeWarning, match="color images, and the model has 1 channel; they are converted to gray"):
        images = open_dataset(data, 1)
    assert images.image(0).shape == (28, 28, 1)


@pytest.mark.parametrize("fault", ["broken", "cut", "small"])
def test_a_file_that_cannot_be_used_is_not_held_out(tmp_path, fault):
    write_images(tmp_path, [(40, 40)] * 8)
    paths = image_paths(tmp_path)
    (first,) = held_out_paths(tmp_path, paths, 1, 0)
    if fault == "small":
        Image.new("RGB", (8, 40)).save(first)
    else:
        first.write_bytes(first.read_bytes()[:1500] if fault == "cut" else b"not an image")
    data = DataConfig(source=str(tmp_path), held_out=0.1, crop=(32, 32))
    (held,) = open_dataset(data, 3, "held-out").paths
    with pytest.warns(AeedgeWarning, match=first.name):
        trained = open_dataset(data, 3, "train").paths
    assert held != first
    assert sorted([*trained, held, first]) == paths


def test_a_folder_is_searched_for_all_that_compress_takes(tmp_path):
    names = [f"{number}{suffix}" for number, suffix in enumerate(sorted(IMAGE_SUFFIXES))]
    for name in [*names, "notes.txt", ".hidden.png"]:
        (tmp_path / name).touch()
    assert {path.name for path in image_paths(tmp_path)} == set(names)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_a_name_that_is_not_utf8(tmp_path):
    write_images(tmp_path, [(20, 20)] * 3)
    (tmp_path / "0.png").rename(tmp_path / os.fsdecode(b"bad\xff.png"))
    data = DataConfig(source=str(tmp_path), held_out=0.3)
    assert len(open_dataset(data, 3, "train")) + len(open_dataset(data, 3, "held-out")) == 3


def test_empty_folder_and_single_image(tmp_path):
    with pytest.raises(ArgumentError, match="found no image files"):
        open_dataset(DataConfig(source=str(tmp_path)), 3)
    write_images(tmp_path, [(20, 20)])
    with pytest.raises(ArgumentError, match="expected at least 2"):
        open_dataset(DataConfig(source=str(tmp_path)), 3)


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


def number_images(count, size=4):
    images = np.zeros((count, size, size, 1), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ArrayImages(images)


def test_an_epoch_visits_every_image_once():
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5)
    seen = np.concatenate([source.indices(step, 0, 4) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])


def test_parts_make_up_the_batch():
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (9, 12, 14, 3), dtype=np.uint8))
    augmentation = Augmentation((8, 8), flip=True, turn=True, shrink=0.7)
    source = BatchSource(images, augmentation, 6, seed=1, corruption=Corruption("gaussian", 0.2))
    whole = source.part(3, 0, 6)
    halves = [source.part(3, first, 3) for first in (0, 3)]
    for name in ("target", "source"):
        together = np.concatenate([getattr(half, name).numpy() for half in halves])
        assert np.array_equal(together, getattr(whole, name).numpy())


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_whoever_prepares_them(workers):
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5, corruption=Corruption("mask", 0.5))
    places = [(0, 2), (2, 2)]
    found = list(source.parts(3, 9, places, workers=workers))
    assert len(found) == 6
    for step, parts in enumerate(found, 3):
        for part, (first, count) in zip(parts, places, strict=True):
            expected = source.part(step, first, count)
            assert np.array_equal(part.target.numpy(), expected.target.numpy())
            assert np.array_equal(part.source.numpy(), expected.source.numpy())


def test_sigterm_to_all_processes_leaves_the_batches_coming():
    """The training process stops after its step; until then it needs them."""
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5)
    before = set(multiprocessing.active_children())
    coming = source.parts(0, 12, [(0, 4)], workers=2)
    next(coming), next(coming)  # one of each process: both have started
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGTERM)
    assert len(list(coming)) == 10


@pytest.mark.parametrize("draw", [torch.Tensor.uniform_, torch.Tensor.normal_])
def test_what_a_device_draws_for_a_sample_depends_on_its_place_alone(draw):
    def drawn(first, count, step=3, purpose="x"):
        return StepInfo(step, 10, 1, first).drawn_there(purpose, torch.empty(count, 4, 5), draw)

    whole = drawn(0, 6)
    assert torch.equal(whole[2:5], drawn(2, 3))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole, drawn(0, 6, step=4))
    assert not torch.equal(whole, drawn(0, 6, purpose="y"))


def test_a_batch_on_a_device_has_the_range_and_order_of_networks():
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    batch = prepare(pixels, None, seed=0, step=0, first=0).on(torch.device("cpu"), channels_last=True)
    assert batch.source is batch.target
    assert batch.target.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(batch.target.permute(0, 2, 3, 1).numpy(), pixels / np.float32(255))


class Mixed:
    """Two images of two sizes."""

    def __len__(self):
        return 2

    def image(self, index):
        return np.zeros((16, 16 * (index + 1), 1), np.uint8)


def test_held_out_images_of_another_size_are_found_before_training():
    with pytest.raises(ArgumentError, match=r"the images differ in size; set data\.crop"):
        sample_size([number_images(3, 32), number_images(1, 16)], None, (16, 16), False)


def test_sample_size():
    assert sample_size([number_images(3, 16)], None, (16, 16), False) == (16, 16)
    assert sample_size([number_images(3, 40)], None, (16, 16), True) == (16, 16)
    with pytest.raises(ArgumentError, match="multiples of the model's stride"):
        sample_size([number_images(3, 20)], None, (16, 16), False)
    with pytest.raises(ArgumentError, match=r"differ in size; set data\.crop"):
        sample_size([Mixed()], None, (16, 16), False)
    assert sample_size([number_images(3, 32)], (32, 32), (16, 16), False) == (32, 32)
    for side, crop in ((10, None), (16, (32, 16)), (16, (16, 32))):
        with pytest.raises(ArgumentError, match="smaller than the training sample"):
            sample_size([number_images(3, side)], crop, (16, 16), crop is None)


def test_center_crop():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    assert center_crop(image, (2, 3))[:, :, 0].tolist() == [[6, 7, 8], [11, 12, 13]]
    assert center_crop(image, (9, 9)).shape == (4, 5, 1)


@pytest.mark.parametrize(("text", "share"), [("salt-pepper:0.2", 0.2), ("mask:0.5", 0.5)])
def test_corruption_hits_the_stated_share(text, share):
    images = np.full((4, 64, 64, 3), 0.5, np.float32)
    damaged = Corruption.parse(text).apply(images, 0, 1, 0)
    assert (damaged != images).any(-1).mean() == pytest.approx(share, abs=0.02)
    assert np.array_equal(damaged, Corruption.parse(text).apply(images, 0, 1, 0))


def test_gaussian_corruption_has_the_stated_spread():
    damaged = Corruption.parse("gaussian:0.1").apply(np.full((4, 64, 64, 1), 0.5, np.float32), 0, 1, 0)
    assert damaged.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("text", ["gausian:0.3", "gaussian", "mask:2", "mask:x", "salt-pepper:0"])
def test_wrong_corruptions(text):
    with pytest.raises(ArgumentError, match="corrupt"):
        Corruption.parse(text)


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
