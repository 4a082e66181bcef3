from pathlib import Path

import numpy as np
import pytest

from aeedge.applications.generation import interpolate, posterior, sample, sample_posterior
from aeedge_runtime import ArgumentError, BundleError, Codec
from aeedge_runtime.coding.networks import Networks

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
    with pytest.raises(BundleError, match=r"gives latent, not log_variance"):
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
