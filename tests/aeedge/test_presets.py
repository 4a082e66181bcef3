import json

import pytest

from aeedge.presets import PRESETS, find_preset
from aeedge.training.config import RunConfig
from aeedge_runtime.errors import ArgumentError


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name):
    config = PRESETS[name].config()
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ArgumentError, match='did you mean "dense-mnist"'):
        find_preset("dense-mnits")
