"""The applications as Python functions: exact where they can be, their effect on small examples elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.anomaly import auroc, heat_map, score_images, squared_errors
from aeedge.applications.features import encode_images, principal_components
from aeedge.applications.generation import interpolate, posterior, sample, sample_posterior
from aeedge.applications.images import NamedImage, batches, dataset_images, file_images
from aeedge.applications.reconstruction import reconstruct
from aeedge.sources import find_sources
from aeedge_runtime import AeedgeWarning, ArgumentError, BundleError, Codec
from aeedge_runtime.coding.networks import Networks
from aeedge_runtime.images.formats import IMAGE_SUFFIXES
from aeedge_runtime.images.psnr import psnr_db

BUNDLES = Path(__file__).parents[2] / "fixtures" / "bundles"


@pytest.fixture(scope="module")
def vae():
    return Codec.load(BUNDLES / "tiny-vae", threads=1)


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


def test_reconstruction_keeps_what_the_model_can_hold(dense):
    assert psnr_db(smooth(3), reconstruct(dense, smooth(3))) > psnr_db(noisy(3), reconstruct(dense, noisy(3))) + 10
    assert reconstruct(dense, smooth(2, (5, 9))).shape == (2, 5, 9, 1)


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


def test_samples_follow_the_seed(vae):
    first = sample(vae, 8, seed=3)
    assert first.shape == (8, 8, 8, 1)
    assert (sample(vae, 4, seed=3) == first[:4]).all()
    assert (sample(vae, 8, seed=4) != first).any()


def test_posterior_has_the_mean_and_the_variance_of_the_graph(vae):
    image = smooth(1, (8, 16))[0]
    mean, log_variance, size = posterior(vae, image)
    assert size == (8, 16)
    assert (mean == vae.encode(image)).all()
    assert (log_variance == 0).all()  # what the tiny graph gives
    drawn = sample_posterior(vae, image, 3, seed=1)
    noise = np.random.default_rng(1).standard_normal((3, *mean.shape), dtype=np.float32)
    assert (drawn == vae.decode_batch(mean + noise, size)).all()


def test_other_outputs_of_an_encoder_are_refused_by_name(dense):
    networks = Networks(dense.bundle, dense.options)
    with pytest.raises(BundleError, match=r"gives latent, expected log_variance too"):
        networks.encode(smooth(1), "log_variance")


def test_a_way_between_images_has_both_ends(vae):
    first, last = smooth(2, (8, 8))
    way = interpolate(vae, first, last, 5)
    assert (way[0] == vae.decode(vae.encode(first), (8, 8))).all()
    assert (way[-1] == vae.decode(vae.encode(last), (8, 8))).all()
    steps = np.abs(np.diff(way.astype(int), axis=0)).sum(axis=(1, 2, 3))
    assert steps.max() < 1.5 * steps.min()
    with pytest.raises(ArgumentError, match="expected one size"):
        interpolate(vae, first, smooth(1, (8, 9))[0], 5)
    with pytest.raises(ArgumentError, match="expected at least 2"):
        interpolate(vae, first, last, 1)


def test_only_a_vae_generates(dense):
    with pytest.raises(ArgumentError, match="of family dense, whose latents follow no known distribution"):
        sample(dense, 4, seed=0)


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
    with pytest.raises(ArgumentError, match="found no images"):
        encode_images(dense, [])


def test_principal_components_of_a_line():
    line = np.arange(50, dtype=np.float32)[:, None] * np.array([[3, 4, 0]], np.float32)
    line[:, 2] = np.tile([1, -1], 25)
    places, shares = principal_components(line)
    assert np.ptp(places[:, 0]) == pytest.approx(5 * 49, rel=1e-3)
    assert shares.sum() == pytest.approx(1)
    with pytest.raises(ArgumentError, match="expected at least 2 of each"):
        principal_components(line[:1])


def test_files_carry_their_folder_as_class(draw, tmp_path):
    draw(tmp_path / "cats" / "a.png")
    draw(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    failed = []
    sources = find_sources([str(tmp_path)], IMAGE_SUFFIXES)
    with pytest.warns(AeedgeWarning, match="reduced to gray") as told:
        images = list(file_images(sources, 1, lambda source, error: failed.append(source.relative.name)))
    assert sorted((image.name, image.label) for image in images) == [("b.png", ""), ("cats/a.png", "cats")]
    assert failed == ["c.png"]
    assert len(told) == 1


def test_data_sets_have_names_and_classes():
    first = next(dataset_images("synthetic", 1, "nowhere", "test"))
    assert first.name == "test/00000"
    assert first.label in set("0123456789")
    assert first.pixels.shape == (28, 28, 1)
