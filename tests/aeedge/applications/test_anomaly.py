from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.anomaly import auroc, heat_map, score_images, squared_errors
from aeedge.applications.images import NamedImage, batches
from aeedge_runtime import Codec

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


def test_scores_tell_noise_from_smooth_images(dense):
    found = list(score_images(dense, named(np.concatenate([smooth(40), noisy(40)]))))
    scores = np.array([scored.score for scored in found])
    assert auroc(scores[:40], scores[40:]) == 1.0
    assert [scored.image.name for scored in found] == [str(index) for index in range(80)]
    assert scores[0] == pytest.approx(squared_errors(smooth(1), found[0].restored[None])[0])


def test_scores_do_not_depend_on_the_neighbors(dense):
    images = [*named(smooth(3)), *named(smooth(2, (8, 8))), *named(noisy(2))]
    assert [len(batch) for batch in batches(images)] == [3, 2, 2]
    together = [scored.score for scored in score_images(dense, images)]
    alone = [next(score_images(dense, [image])).score for image in images]
    assert together == pytest.approx(alone)


def test_auroc_of_known_orders():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    assert auroc(np.array([1.0, 3.0]), np.array([2.0])) == 0.5


def test_heat_map_is_black_where_nothing_differs():
    image = np.full((2, 3, 3), 7, np.uint8)
    other = image.copy()
    other[1, 2, 0] = 255
    heat = heat_map(image, other)
    assert heat.shape == (2, 3, 3)
    assert heat[0].max() == 0
    assert heat[1, 2].tolist() > [250, 200, 0]
