import gzip

import numpy as np
import pytest

from aeedge.evaluation.data import is_small_set, open_images
from aeedge_runtime import AeedgeWarning, InputError


def idx(images):
    return b"\0\0\x08\x03" + np.array(images.shape, ">u4").tobytes() + images.tobytes()


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)


@pytest.mark.parametrize("place", ["t10k-images-idx3-ubyte", "raw/t10k-images-idx3-ubyte.gz"])
def test_mnist_files_are_found_and_read(tmp_path, digits, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(idx(digits)) if path.suffix == ".gz" else idx(digits))
    for where in (tmp_path, path):
        images = open_images(where, 1, None)
        np.testing.assert_array_equal(np.stack([image.pixels for image in images])[..., 0], digits)
    assert is_small_set(images)


@pytest.mark.parametrize("data", [b"", b"\0\0\x08\x03", b"\0\0\x08\x03" + bytes(12) + b"x", b"PNG"])
def test_a_damaged_idx_file_is_named(tmp_path, data):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte|no images"):
        open_images(tmp_path, 1, None)


def test_npz_holds_one_array_of_images(tmp_path, digits):
    np.savez(tmp_path / "a.npz", images=digits, labels=np.arange(7))
    assert len(open_images(tmp_path / "a.npz", 1, 3)) == 3
    np.savez(tmp_path / "b.npz", first=digits, second=digits)
    with pytest.raises(InputError, match="found 2 arrays"):
        open_images(tmp_path / "b.npz", 1, None)
    (tmp_path / "c.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"cannot be read as \.npz"):
        open_images(tmp_path / "c.npz", 1, None)
    whole = (tmp_path / "a.npz").read_bytes()
    spoilt = bytes([*whole[:200], whole[200] ^ 1, *whole[201:]])
    for data in (whole[:-100], whole[:4] + b"garbage", spoilt):
        (tmp_path / "c.npz").write_bytes(data)
        with pytest.raises(InputError, match=r"cannot be read as \.npz"):
            open_images(tmp_path / "c.npz", 1, None)
    with (tmp_path / "d.npz").open("wb") as file:
        np.save(file, digits)
    with pytest.raises(InputError, match="found 0 arrays of images"):
        open_images(tmp_path / "d.npz", 1, None)


def test_a_folder_goes_on_past_a_broken_file(draw, tmp_path):
    draw(tmp_path / "a.png", 80, 60)
    draw(tmp_path / "sub" / "b.jpg", 70, 90)
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.warns(AeedgeWarning, match="left out: .*c.png"):
        images = open_images(tmp_path, 3, None)
    assert [image.name for image in images] == ["a.png", "sub/b.jpg"]
    assert not is_small_set(images)


def test_an_idx_file_of_something_else_is_no_set_of_images(tmp_path):
    place = tmp_path / "labels-idx3-ubyte"
    place.write_bytes(bytes((0, 0, 8, 1, 0, 0, 0, 5)) + bytes(5))
    with pytest.raises(InputError, match="found an array of 1 dimensions, expected images"):
        open_images(place, 1, None)


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "c.png").write_bytes(b"no image")
    with (
        pytest.warns(AeedgeWarning, match=r"left out: [^:]*c\.png: not an image"),
        pytest.raises(InputError, match="none of the images"),
    ):
        open_images(tmp_path, 3, None)


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing: does not exist"):
        open_images(tmp_path / "missing", 3, None)


def test_gzip_files_that_are_damaged(tmp_path, digits):
    whole = gzip.compress(idx(digits))
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    for data in (whole[: len(whole) // 2], b"no gzip at all", whole[:40] + bytes(100) + whole[140:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="cannot be read"):
            open_images(path, 1, None)


def test_a_file_without_images(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    with pytest.raises(InputError, match="no images, expected at least one"):
        open_images(path, 1, None)
