from dataclasses import dataclass

import pytest

from aeedge.configuration import Configuration, parse, set_key
from aeedge.training.config import DataConfig, RunConfig
from aeedge_runtime.errors import ArgumentError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training": 3}, "training: found .* expected an object with keys"),
        ({"training": {"loss": {"terms": ["mse"]}}}, "training.loss.terms: found .* expected an object with keys"),
        ({"data": {"crop": 256}}, "data.crop: found .* expected a list"),
        ({"training": {"epoch": 3}}, 'training: unknown key "epoch"; did you mean "epochs"'),
        ({"training": {"optimizer": {"rate": 1}}}, "training.optimizer: unknown key"),
        ({"training": {"epochs": "many"}}, "training.epochs: found .* expected int"),
        ({"training": {"epochs": True}}, "training.epochs: found .* expected int"),
        ({"training": {"epochs": 0}}, "training.epochs: found 0, expected a number above 0"),
        ({"training": {"max_steps": 0}}, "training.max_steps: found 0, expected at least 1"),
        ({"training": {"ema_decay": 1.0}}, "training.ema_decay: found 1.0, expected 0 to below 1"),
        ({"training": {"optimizer": {"decay_share": 0.0}}}, "decay_share: found 0.0, expected a share above 0 up to 1"),
        ({"training": {"loss": {"terms": {}}}}, "training.loss.terms: found none, expected at least one distortion"),
        ({"data": {"held_out": 1.0}}, "data.held_out: found 1.0, expected a share between 0 and 1"),
        ({"training": {"precision": "bf16"}}, 'training.precision: found "bf16"; did you mean "bf16-mixed"'),
        ({"data": {"crop": [1, 2, 3]}}, "data.crop: found 3 values, expected 2"),
        ({"data": []}, "data: found .* expected an object"),
        ({"schema": 9}, "found schema 9, expected 1"),
        ([], 'RunConfig: found "\\[\\]" .list., expected an object with keys'),
        (None, "RunConfig: found .* expected an object with keys"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ArgumentError, match=message):
        RunConfig.from_dict(values)


def test_whole_numbers_and_floats_convert():
    config = RunConfig.from_dict({"data": {"held_out": 0.5, "count": 3.0, "crop": [8, 16]}})
    assert config.data == DataConfig(held_out=0.5, count=3, crop=(8, 16))
    assert isinstance(config.data.count, int)


def test_set_key_changes_one_place():
    values = RunConfig().to_dict()
    set_key(values, "training.optimizer.learning_rate", 0.5)
    set_key(values, "training.loss.terms.l1", 0.25)
    config = RunConfig.from_dict(values)
    assert config.training.optimizer.learning_rate == 0.5
    assert config.training.loss.terms == {"mse": 1.0, "l1": 0.25}


@pytest.mark.parametrize("key", ["trainig.epochs", "training.epoch", "training.epochs.x"])
def test_set_key_refuses_unknown_places(key):
    with pytest.raises(ArgumentError, match="key"):
        set_key(RunConfig().to_dict(), key, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        (b"\xff", "not JSON"),
        ('{"a": ' + "1" * 5000 + "}", "not JSON"),
        ('{"a": {"b": 1, "b": 2}}', 'found the key "b" twice'),
        ("[" * 100_000 + "]" * 100_000, "more than 32 deep"),
        ('{"a":' * 100 + "1" + "}" * 100, "more than 32 deep"),
    ],
)
def test_text_that_is_no_config(text, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Needy(Configuration):
    must: int


def test_a_key_without_a_default_is_needed():
    assert Needy.from_dict({"must": 3}) == Needy(3)
    with pytest.raises(ArgumentError, match='Needy: the key "must" is missing'):
        Needy.from_dict({})
