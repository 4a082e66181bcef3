from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.features import encode_images, principal_components
from aeedge.applications.images import NamedImage
from aeedge_runtime import ArgumentError, Codec

BUNDLES = Path(__file__).parents[2] / "fixtures" / "bundles"


@pytest.fixture(scope="module")
def dense():
    return Codec.load(BUNDLES / "tiny-dense", threads=1)


def smooth(count, size=(16, 24), seed=0):
    rows, columns = np.mgrid[: size[0], : size[1]]
    slopes = np.random.default_rng(seed).uniform(-4, 4, (count, 2, 1, 1))
    images = 120 + slopes[:, 0] * (rows - 8) + slopes[:, 1] * (columns - 8)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)[..., None]


def noisy(count, size=(16, 24), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 1), dtype=np.uint8)


def named(images):
    return [NamedImage(str(index), image, "") for index, image in enumerate(images)]


def test_features_are_the_latents_with_names_and_classes(dense, tmp_path):
    images = [NamedImage("a", smooth(1)[0], "x"), NamedImage("b", noisy(1)[0], "")]
    found = encode_images(dense, images)
    assert (found.latents[1] == dense.encode(noisy(1)[0])).all()
    (tmp_path / "f.npz").write_bytes(found.to_bytes())
    with np.load(tmp_path / "f.npz", allow_pickle=False) as arrays:
        assert arrays["latents"].shape == (2, 16, 2, 3)
        assert (arrays["names"].tolist(), arrays["labels"].tolist()) == (["a", "b"], ["x", ""])


def test_features_of_several_sizes_need_pooling(dense):
    images = [*named(smooth(2)), *named(smooth(1, (8, 8)))]
    with pytest.raises(ArgumentError, match="found latents of 2x3 and 1x1, expected one size; use --pool mean"):
        encode_images(dense, images)
    pooled = encode_images(dense, images, "mean").latents
    assert pooled.shape == (3, 16)
    assert pooled[0] == pytest.approx(dense.encode(smooth(1)[0]).mean(axis=(1, 2)))
    with pytest.raises(ArgumentError, match="no images, expected at least one"):
        encode_images(dense, [])


def test_principal_components_of_a_line():
    line = np.arange(50, dtype=np.float32)[:, None] * np.array([[3, 4, 0]], np.float32)
    line[:, 2] = np.tile([1, -1], 25)
    places, shares = principal_components(line)
    assert np.ptp(places[:, 0]) == pytest.approx(5 * 49, rel=1e-3)
    assert shares.sum() == pytest.approx(1)
    with pytest.raises(ArgumentError, match="expected at least 2 of each"):
        principal_components(line[:1])
