import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data import folder
from aeedge.training.data.datasets import (
    open_dataset,
    run_images,
)
from aeedge.training.data.folder import FolderImages, held_out_paths, image_paths
from aeedge_runtime.errors import AeedgeWarning, ArgumentError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

pytestmark = pytest.mark.torch


def write_images(place, sizes):
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(sizes))
    for number, (height, width) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")


def test_class_folders_give_labels(tmp_path):
    for name in ("bird", "cat"):
        write_images(tmp_path / name, [(8, 8)] * 4)
    images = open_dataset(DataConfig(source=str(tmp_path), held_out=0.25), 3)
    assert {images.label(index) for index in range(len(images))} == {0, 1}
    only = open_dataset(DataConfig(source=str(tmp_path), held_out=0.25, only_label=1), 3)
    assert {only.label(index) for index in range(len(only))} == {1}


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


def test_changes_on_reading_are_reported_as_compress_does(tmp_path, monkeypatch):
    write_images(tmp_path, [(28, 28)] * 3)
    for number in range(3):
        Image.new("L", (28, 28)).save(tmp_path / f"gray{number}.png")
    data = DataConfig(source=str(tmp_path), held_out=0.1)
    with pytest.warns(AeedgeWarning, match=r"images?: colou?r was reduced to gray"):
        images = open_dataset(data, 1)
    assert images.image(0).shape == (28, 28, 1)
    monkeypatch.setattr(folder, "MEMORY_LIMIT", 0)
    images = FolderImages(tmp_path, [tmp_path / "0.png", tmp_path / "1.png"], 1)
    with pytest.warns(AeedgeWarning, match=r"0\.png: colou?r was reduced to gray.* \(shown once\)"):
        images.image(0)
    images.image(1)


def test_what_a_folder_leaves_out_is_said_once(tmp_path):
    write_images(tmp_path / "set", [(8, 8)] * 4)
    write_images(tmp_path / "elsewhere", [(8, 8)])
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    for name in ("notes.txt", ".hidden.png"):
        (tmp_path / "set" / name).touch()
    data = DataConfig(source=str(tmp_path / "set"), held_out=0.25)
    with pytest.warns(AeedgeWarning) as caught:
        open_dataset(data, 3, "train")
    found = " ".join(str(warning.message) for warning in caught)
    assert len(caught) == 3
    assert all(text in found for text in ("1 linked folder", "1 file left out", "1 hidden file"))
    open_dataset(data, 3, "held-out")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_images(tmp_path, [(8, 8)] * 4)
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def scan(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.warns(AeedgeWarning, match="1 file left out: .*closed"):
        assert len(FolderImages(tmp_path, image_paths(tmp_path), 3)) == 4


def test_a_fifo_is_not_waited_for(tmp_path):
    write_images(tmp_path, [(8, 8)] * 2)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.warns(AeedgeWarning, match="1 file left out"):
        assert len(image_paths(tmp_path, warn=True)) == 2
    with pytest.warns(AeedgeWarning, match=r"pipe\.png"):
        assert len(FolderImages(tmp_path, [tmp_path / "0.png", tmp_path / "pipe.png"], 3)) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyError, ZeroDivisionError])
def test_whatever_a_plugin_raises_on_a_damaged_file_is_no_crash(tmp_path, monkeypatch, error):
    write_images(tmp_path, [(8, 8)] * 2)
    opened, damaged = Image.OPEN["PNG"][0], (tmp_path / "1.png").read_bytes()

    def fail(file, name):
        if file.read() == damaged:
            raise error("damaged")
        file.seek(0)
        return opened(file, name)

    monkeypatch.setitem(Image.OPEN, "PNG", (fail, Image.OPEN["PNG"][1]))
    with pytest.warns(AeedgeWarning, match=r"1 file left out: .*1\.png"):
        assert len(FolderImages(tmp_path, image_paths(tmp_path), 3)) == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")  # of Pillow
def test_damaged_exif_costs_no_image(tmp_path):
    write_images(tmp_path, [(8, 6)])
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f"
    Image.open(tmp_path / "0.png").save(tmp_path / "1.jpg", exif=exif)
    images = FolderImages(tmp_path, image_paths(tmp_path), 3)
    assert [images.image(index).shape for index in range(2)] == [(8, 6, 3)] * 2


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
