"""Several sources of images in one run."""

import json

import numpy as np
import pytest

from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data.datasets import ArrayImages, open_dataset
from aeedge.training.data.graphics import Graphics
from aeedge.training.data.mixture import Mixture
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


def images_of(value, count):
    return ArrayImages(np.full((count, 4, 4, 3), value, np.uint8), np.zeros(count, np.int64))


@pytest.mark.parametrize("counts", [(3, 50), (50, 3), (7, 7)])
def test_an_epoch_takes_the_shares_and_every_image(counts):
    sets = [images_of(number, count) for number, count in enumerate(counts)]
    mixed = Mixture.of(sets, [0.75, 0.25])
    seen = [int(mixed.image(index)[0, 0, 0]) for index in range(len(mixed))]
    assert seen.count(1) / len(seen) == pytest.approx(0.25, abs=0.02)
    assert all(seen.count(number) >= count for number, count in enumerate(counts))
    assert mixed.label(0) is None


def test_a_set_is_repeated_in_its_order():
    first = ArrayImages(np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1))
    mixed = Mixture([first, images_of(9, 1)], [5, 1])
    assert [int(mixed.image(index).flat[0]) for index in range(6)] == [0, 1, 2, 0, 1, 9]


def test_each_source_holds_out_its_own_images():
    data = DataConfig(source="synthetic-photos", others=("synthetic-graphics",), shares=(0.2,), count=20, held_out=0.1)
    train, held = (open_dataset(data, 3, split) for split in ("train", "held-out"))
    assert len(held) == 4
    assert train.counts == [80, 20]
    assert isinstance(train.sets[1], Graphics)


@pytest.mark.parametrize(
    ("others", "shares", "words"),
    [
        (["a"], [], "found 0, expected 1"),
        (["a", "b"], [0.5, 0.5], "sum below 1"),
        (["a"], [0.0], "between 0 and 1"),
        (["a"], [-0.5], "between 0 and 1"),
    ],
)
def test_impossible_shares_are_refused(others, shares, words):
    with pytest.raises(ArgumentError, match=words):
        RunConfig.from_dict({"data": {"others": others, "shares": shares}})


def test_sources_with_shares_on_the_command_line(aeedge, tmp_path):
    out = tmp_path / "run"
    small = ("--set", "data.count=6", "--set", "training.precision=32-true", "--max-steps", 1, "--batch-size", 2)
    words = ("--data", "synthetic-photos", "--data", "synthetic-graphics=0.25", "--set", "data.crop=[64,64]")
    assert aeedge("train", "conv-photo", *words, *small, "-o", out).code == 0
    text = (out / "config.json").read_text()
    data = RunConfig.from_dict(json.loads(text)).data
    assert (data.source, data.others, data.shares) == ("synthetic-photos", ("synthetic-graphics",), (0.25,))
    assert aeedge("train", "--resume", "--max-steps", 2, "-o", out).code == 0


def test_a_further_source_needs_a_share(aeedge, tmp_path):
    ended = aeedge("train", "conv-photo", "--data", "synthetic-photos", "--data", "mine", "-o", tmp_path / "run")
    assert ended.code == 2
    assert "SOURCE=SHARE" in ended.stderr
