"""A decoder that is trained later decodes the streams that lie about already, and better."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aeedge.training.config import DataConfig, OptimizerConfig, RunConfig, TrainingConfig
from aeedge.training.data.datasets import open_dataset
from aeedge.training.loop import train
from aeedge.training.objectives.stream_tables import StreamTables
from aeedge_export import decoder_start, export_run
from aeedge_runtime import ArgumentError, Bundle, Codec

pytestmark = [pytest.mark.torch, pytest.mark.slow]

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
    start = decoder_start(folder / "first")
    train(later, folder / "second", weights=start.weights, tables=start.tables)
    return folder


@pytest.fixture(scope="module")
def bundles(runs):
    export_run(runs / "first", runs / "first.aeb")
    export_run(runs / "second", runs / "second.aeb")
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


def test_the_tables_of_a_bundle_are_those_of_its_run(runs, bundles):
    entropy = bundles[0].bundle.read("entropy.npz")
    starts = [decoder_start(runs / "first"), decoder_start(runs / "first", runs / "first.aeb")]
    starts.append(decoder_start(runs / "second"))  # and of every decoder trained later
    assert [start.tables for start in starts] == [entropy] * 3
    other = replace(CONFIG, training=replace(CONFIG.training, max_steps=1, seed=5))
    train(other, runs / "other")
    with pytest.raises(ArgumentError, match="another encoder"):
        decoder_start(runs / "other", runs / "first.aeb")


def test_a_new_decoder_for_streams_of_rounded_weights(runs, bundles):
    report = export_run(runs / "first", runs / "half.aeb", store_float16=True)
    assert report.stream_id != bundles[0].bundle.stream_id.hex()
    later = replace(CONFIG, training=replace(CONFIG.training, trainable="decoder", max_steps=20))
    start = decoder_start(runs / "first", runs / "half.aeb")
    train(later, runs / "later", weights=start.weights, tables=start.tables)
    assert export_run(runs / "later", runs / "later.aeb").stream_id == report.stream_id
    assert export_run(runs / "later", runs / "later-half.aeb", store_float16=True).stream_id == report.stream_id
    with pytest.raises(ArgumentError, match="was exported with --store-float16"):
        export_run(runs / "first", runs / "forgot.aeb", tables_from=runs / "half.aeb")


@pytest.mark.parametrize("quality", [1, 30, 100])
def test_training_sees_the_latents_that_streams_carry(runs, bundles, quality):
    codec = bundles[0]
    images = open_dataset(CONFIG.data, 1, "test")
    pixels = np.stack([images.image(index) for index in range(len(images))])
    latent = torch.from_numpy(codec.encode_batch(pixels))
    tables = StreamTables(codec.bundle.read("entropy.npz"), latent.shape[1])
    restored = tables(latent, torch.full((len(images),), quality - 1))
    decoded = codec.decode_batch(restored.numpy(), size=pixels.shape[1:3])
    np.testing.assert_array_equal(decoded, codec.decompress_batch(codec.compress_batch(pixels, quality)))


def test_tables_of_another_model_are_refused(runs):
    with pytest.raises(ArgumentError, match="tables are of 12 latent channels, the model has 13"):
        StreamTables(decoder_start(runs / "second").tables, 13)


def test_tables_of_a_hyperprior_are_refused():
    tables = Bundle.load("photo").read("entropy.npz")
    with pytest.raises(ArgumentError, match="the tables are of a hyperprior, expected those of a factorized prior"):
        StreamTables(tables, 320)
