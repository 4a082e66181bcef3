"""A decoder that is trained later decodes the streams that lie about already, and better."""

from dataclasses import replace

import numpy as np
import pytest

from aeedge.training.config import DataConfig, OptimizerConfig, RunConfig, TrainingConfig
from aeedge.training.data import open_dataset
from aeedge.training.loop import train
from aeedge.training.start import initial_weights
from aeedge_export import export_run
from aeedge_runtime import AeedgeWarning, Codec

pytestmark = pytest.mark.torch

CONFIG = RunConfig(
    model={"family": "dense", "channels": 1, "hidden": [32], "latent": 12, "activation": "gelu"},
    data=DataConfig(source="synthetic", count=600, held_out_most=100),
    training=TrainingConfig(max_steps=60, batch_size=64, optimizer=OptimizerConfig(learning_rate=3e-3)),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A short run, and one that goes on with its decoder alone."""
    folder = tmp_path_factory.mktemp("decoder-only")
    train(CONFIG, folder / "first")
    later = replace(CONFIG, training=replace(CONFIG.training, trainable="decoder", max_steps=500, validate_steps=250))
    train(later, folder / "second", weights=initial_weights(folder / "first"))
    return folder


@pytest.fixture(scope="module")
def bundles(runs):
    export_run(runs / "first", runs / "first.aeb")
    export_run(runs / "second", runs / "second.aeb", tables_from=runs / "first.aeb")
    return Codec.load(runs / "first.aeb", threads=1), Codec.load(runs / "second.aeb", threads=1)


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_old_streams_decode_with_lower_error(bundles, quality):
    old, new = bundles
    images = open_dataset(CONFIG.data, 1, "test")
    pixels = np.stack([images.image(index) for index in range(len(images))])
    stream = old.compress_batch(pixels, quality)
    errors = [np.square(codec.decompress_batch(stream) - pixels.astype(float)).mean() for codec in (old, new)]
    assert errors[1] < 0.95 * errors[0]


def test_stream_id_and_symbols_stay(bundles):
    old, new = bundles
    assert old.bundle.stream_id == new.bundle.stream_id
    images = open_dataset(CONFIG.data, 1, "test")
    stream = new.compress(images.image(0))
    assert stream == old.compress(images.image(0))
    assert (old.decompress_symbols(stream) == new.decompress_symbols(stream)).all()


def test_without_the_old_tables_a_new_stream_id_is_warned_about(runs, bundles):
    with pytest.warns(AeedgeWarning, match="keep the old with --tables-from"):
        report = export_run(runs / "second", runs / "third.aeb")
    assert report.stream_id != bundles[0].bundle.stream_id.hex()
