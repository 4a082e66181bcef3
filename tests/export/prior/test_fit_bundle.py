import json

import numpy as np
import pytest
import tiny_networks as tiny
import torch
from conftest import smooth_images, train_briefly

from aeedge_export import export_model, fit_prior
from aeedge_export.prior.fit_bundle import choose_groups
from aeedge_runtime import ArgumentError, Bundle, Codec, verify_bundle

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore:quality")]


class Correlated(tiny.Plain):
    """Neighbors of its latent have much in common."""

    def __init__(self):
        super().__init__(3, 6, (4, 4))

    def forward(self, image):
        return self.decoder(self.encoder(image))


@pytest.fixture(scope="module")
def images():
    return smooth_images(9, 96, 128, 3, seed=3)


@pytest.fixture(scope="module")
def bundles(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    torch.manual_seed(0)
    network = Correlated()
    train_briefly(network, images, 80)
    export_model(network, folder / "before", data=images)
    report = fit_prior(folder / "before", folder / "after", data=images, steps=120)
    return Bundle.load(folder / "before"), Bundle.load(folder / "after"), report


def test_a_fitted_prior_saves_bytes_at_the_same_steps(bundles, images):
    before, after, _ = bundles
    sizes = [
        sum(len(Codec.load(bundle, threads=1).compress(image, 60, stored_tiles=False)) for image in images)
        for bundle in (before, after)
    ]
    assert sizes[1] < 0.95 * sizes[0]
    decoded = Codec.load(after, threads=1)
    assert decoded.decompress(decoded.compress(images[0], 60)).shape == images[0].shape


def test_the_new_bundle_verifies_and_has_an_id_of_its_own(bundles):
    before, after, report = bundles
    assert verify_bundle(report.path, threads=1).passed
    assert before.manifest.stream_id_parts["encoder"] != after.manifest.stream_id_parts["encoder"]
    assert after.manifest.limits == before.manifest.limits
    assert json.loads(after.manifest_bytes)["training"]["prior"]["steps"] == 120
    assert {"bytes_at_equal_psnr", "compress_ms", "decompress_ms"} <= set(report.facts)


def test_a_second_fit_is_refused(bundles, images, tmp_path):
    with pytest.raises(ArgumentError, match="exact prior already"):
        fit_prior(bundles[2].path, tmp_path / "again", data=images)


def test_an_export_can_fit_the_prior_to_what_it_has_written(images, tmp_path, monkeypatch):
    fitted = []

    def fit(bundle, out, **options):
        fitted.append((Bundle.load(bundle).manifest.prior.kind, out, options["data"], options["force"]))

    monkeypatch.setattr("aeedge_export.prior.fit_bundle.fit_prior", fit)
    export_model(Correlated(), tmp_path / "new", data=images, prior="fit")
    assert fitted == [("factorized", tmp_path / "new", images, False)]


@pytest.mark.parametrize("options", [{"only": "encoder"}, {"precision": "fp16"}, {"tile": (16, 16)}])
def test_a_prior_that_cannot_be_fitted_is_refused_before_anything_is_exported(images, tmp_path, options):
    with pytest.raises(ArgumentError):
        export_model(Correlated(), tmp_path / "new", data=images, prior="fit", **options)


@pytest.mark.parametrize("groups", [[6, 1], [0, 6], []])
def test_groups_must_cover_the_latent(bundles, images, tmp_path, groups):
    with pytest.raises(ArgumentError, match="groups"):
        fit_prior(bundles[2].path.with_name("before"), tmp_path / "new", data=images, groups=groups)


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (64, 1), (65, 4), (320, 4)])
def test_groups_are_chosen_by_the_size_of_the_latent(channels, count):
    found = choose_groups(channels)
    assert (sum(found), len(found), min(found) > 0) == (channels, count, True)
    assert np.all(np.diff(found) >= 0)
