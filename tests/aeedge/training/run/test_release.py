import pytest
import torch

from aeedge.models import build_model
from aeedge.training.initial import initial_weights
from aeedge.training.run.checkpoint import Counters, load_weights, write_checkpoint
from aeedge.training.run.folder import checkpoint_path
from aeedge.training.run.release import release_weights
from aeedge_runtime.errors import InputError

pytestmark = pytest.mark.torch

SMALL = {"family": "dense", "height": 8, "width": 8, "hidden": [16], "latent": 4}


def test_released_weights_start_a_run(tmp_path):
    torch.manual_seed(1)
    model = build_model(SMALL)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    counters = Counters(step=70, best_step=70)
    write_checkpoint(checkpoint_path(tmp_path / "run", "best"), tensors, counters)
    place = tmp_path / "small.safetensors"
    assert release_weights([tmp_path / "run"], place) == counters
    other = build_model(SMALL)
    load_weights(other, initial_weights(place), place)
    for name, value in other.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, model.state_dict()[name], atol=1e-3, rtol=1e-3)
    assert place.stat().st_size < 0.6 * checkpoint_path(tmp_path / "run", "best").stat().st_size


def test_a_run_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        release_weights([tmp_path], tmp_path / "small.safetensors")


def test_weights_that_float16_does_not_hold_are_refused(tmp_path):
    tensors = {f"model.{name}": value for name, value in build_model(SMALL).state_dict().items()}
    next(iter(tensors.values())).view(-1)[3] = 7e4
    write_checkpoint(checkpoint_path(tmp_path / "run", "best"), tensors, Counters())
    with pytest.raises(InputError, match="beyond 65504"):
        release_weights([tmp_path / "run"], tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_several_runs_give_the_mean_of_their_weights(tmp_path):
    runs, models = [tmp_path / "first", tmp_path / "second"], []
    for seed, run in enumerate(runs):
        torch.manual_seed(seed)
        models.append(build_model(SMALL))
        tensors = {f"model.{name}": value for name, value in models[-1].state_dict().items()}
        write_checkpoint(checkpoint_path(run, "best"), tensors, Counters(step=seed + 1))
    place = tmp_path / "mean.safetensors"
    assert release_weights(runs, place).step == 2
    weights = initial_weights(place)
    for name, first in models[0].state_dict().items():
        mean = (first + models[1].state_dict()[name]) / 2
        torch.testing.assert_close(weights[name].float(), mean, atol=1e-3, rtol=1e-3)
    write_checkpoint(checkpoint_path(runs[1], "best"), {"model.other": torch.zeros(2)}, Counters())
    with pytest.raises(InputError, match="second: the network is not that of"):
        release_weights(runs, tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()
