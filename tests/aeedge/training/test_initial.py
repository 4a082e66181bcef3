import json

import pytest

from aeedge.presets import find_preset
from aeedge.training.initial import change, initial_weights, pretrained_weights, read_config_file
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError

pytestmark = pytest.mark.torch

VALUES = find_preset("dense-mnist").config().to_dict()


def test_settings_change_one_key_each():
    config = change(VALUES, ["training.batch_size=64", "model.latent = 8", "data.source=photos"])
    assert (config.training.batch_size, config.model["latent"], config.data.source) == (64, 8, "photos")
    assert VALUES["training"]["batch_size"] == 128


@pytest.mark.parametrize("setting", ["training.batch_size", "training.batchsize=4", "model.latent=eight"])
def test_wrong_settings_are_refused(setting):
    with pytest.raises(ArgumentError):
        change(VALUES, [setting])


@pytest.mark.parametrize("text", ["[]", "{", '{"training": {"epoch": 3}}'])
def test_a_file_that_is_no_config_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ArgumentError, match="epochs" if "epoch" in text else r"config\.json"):
        read_config_file(tmp_path / "config.json")


def test_a_config_file_is_read_whole(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(VALUES))
    assert read_config_file(tmp_path / "config.json") == VALUES


def test_weights_ship_for_one_preset_only(tmp_path):
    assert any(name.startswith("encoder.") for name in pretrained_weights("photo"))
    with pytest.raises(AeedgeError, match="conv-photo"):
        pretrained_weights("conv-photo")
    with pytest.raises(InputError):
        initial_weights(tmp_path / "nothing.safetensors")
