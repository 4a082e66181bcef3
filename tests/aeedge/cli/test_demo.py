import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from aeedge.classic import find_classic
from aeedge.cli import comparison

torch = pytest.importorskip("torch")

from aeedge.cli import demo as demonstration  # noqa: E402
from aeedge_runtime import AeedgeError  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def digits() -> np.ndarray:
    from aeedge.training.data.synthetic import digits

    return digits(0, 0, 24)[0][..., 0]


@pytest.mark.slow
def test_the_demo_shows_what_it_made(aeedge, tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "EPOCHS", 1)
    monkeypatch.setattr(demonstration, "TRAINING_IMAGES", 640)
    monkeypatch.setattr(demonstration, "TEST_IMAGES", 40)
    done = aeedge("demo", "-o", tmp_path / "demo")
    assert done.code == 0, done.stderr
    for name in ("run", "bundle", "digits.aee", "side-by-side.png"):
        assert str(tmp_path / "demo" / name) in done.text
        assert (tmp_path / "demo" / name).exists()
    for codec in ("aeedge, one stream", "aeedge, a stream each", "PNG, lossless", "JPEG, quality", "WebP, quality"):
        assert codec in done.text
    assert aeedge("demo", "-o", tmp_path / "demo").code == 1
    facts = aeedge("demo", "-o", tmp_path / "demo", "--force", "--json").json
    assert facts["results"][0]["image_bytes"] == (tmp_path / "demo/digits.aee").stat().st_size / 40


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(aeedge, tmp_path):
    (tmp_path / "file").touch()
    done = aeedge("demo", "-o", tmp_path / "file")
    assert done.code == 2
    assert done.stderr.splitlines() == done.errors
    assert f"{tmp_path / 'file'} is a file" in done.stderr


def test_a_data_dir_without_mnist_is_refused(aeedge, tmp_path):
    done = aeedge("demo", "-o", tmp_path / "demo", "--data-dir", tmp_path)
    assert done.code == 2
    assert "train-images-idx3-ubyte is missing" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_used_where_it_lies(tmp_path, packed):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        images = struct.pack(">4i", 2051, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">2i", 2049, count) + bytes(count)
        for name, data in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            path = raw / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data) if packed else data)
    config = demonstration.demonstration_config(tmp_path)
    assert (config.data.source, config.data.data_dir) == ("mnist", str(tmp_path))


def test_classics_reach_the_psnr_at_their_lowest_quality(digits):
    rows = comparison.measure_classics(digits, 24.0)
    assert [row.name.partition(",")[0] for row in rows] == ["PNG", "JPEG", "WebP"]
    assert rows[0].psnr_db == float("inf")
    assert np.array_equal(rows[0].decoded, digits)
    for row, key in zip(rows[1:], ("jpeg", "webp6"), strict=True):
        assert row.psnr_db >= 24.0
        quality = int(row.name.rpartition(" ")[2])
        if quality > 1:
            assert comparison.measure("", find_classic(key), digits, quality - 1).psnr_db < 24.0


def test_the_comparison_has_a_row_for_each_codec(digits, tmp_path):
    comparison.save_comparison([("one", digits), ("two", digits)], tmp_path / "x.png", columns=5, zoom=2)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (170 + 5 * (56 + 4), 2 * 60)


def test_the_demo_notices_images_of_another_shape(dense, tmp_path, digits):
    class Other:
        """A codec that loses a row."""

        def compress_batch(self, images, quality):
            return b"stream"

        def decompress_batch(self, data):
            return digits[:, 1:, :, None]

    with pytest.raises(AeedgeError, match="the stream is not what was compressed"):
        demonstration._measure_stream(Other(), digits, 50, tmp_path / "digits.aee")
