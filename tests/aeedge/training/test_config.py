import pytest

from aeedge.configuration import flat, set_key
from aeedge.training.config import OptimizerConfig, RunConfig, TrainingConfig
from aeedge_runtime.errors import ArgumentError

NAN, INFINITE = float("nan"), float("inf")

IMPOSSIBLE = {
    "training.batch_size": (0, -4, 2**62),
    "training.accumulate": (0,),
    "training.clip_norm": (-1, NAN, INFINITE, 10**400),
    "training.ema_decay": (-0.1, 1, NAN),
    "training.validate_steps": (-1,),
    "training.checkpoint_steps": (-1,),
    "training.patience": (-1,),
    "training.epochs": (0, 2**64),
    "training.optimizer.learning_rate": (0, -1e-3, NAN, INFINITE),
    "training.optimizer.weight_decay": (-1, NAN),
    "training.optimizer.momentum": (-0.1, 1, NAN),
    "training.optimizer.betas": ([0.9, 1], [-0.1, 0.9], [NAN, 0.9]),
    "training.optimizer.warmup_steps": (-1,),
    "training.optimizer.decay_share": (0, 1.5, NAN),
    "training.optimizer.final_share": (-0.1, 1.1, NAN),
    "training.loss.terms.mse": (-1, 0, NAN, INFINITE),
    "training.loss.rate_lambda": (0, -1, NAN),
    "training.loss.step_range": ([0, 1], [2, 1], [NAN, 1], [1, INFINITE]),
    "training.loss.kl_weight": (-1, NAN),
    "training.loss.kl_warmup_steps": (-1,),
    "training.loss.free_bits": (-1, NAN),
    "data.count": (-5, 2**62),
    "data.held_out": (0, 1, NAN),
    "data.held_out_most": (-1,),
    "data.shrink": (0, 1.5, NAN),
    "data.crop": ([0, 8], [8, -8]),
}
EXTREME = {
    "training.clip_norm": 0,
    "training.optimizer.momentum": 0,
    "training.optimizer.betas": [0, 0],
    "training.optimizer.decay_share": 1,
    "training.optimizer.final_share": 1,
    "training.loss.step_range": [1, 1],
    "data.count": 0,
    "data.crop": [28, 28],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in IMPOSSIBLE.items() for value in values])
def test_impossible_values_are_refused_by_key(key, value):
    values = RunConfig().to_dict()
    set_key(values, key, value)
    with pytest.raises(ArgumentError, match=r"found .* expected") as caught:
        RunConfig.from_dict(values)
    assert str(caught.value).startswith(key.removesuffix(".mse"))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("key", EXTREME)
def test_the_ends_of_the_ranges_are_allowed(key):
    values = RunConfig().to_dict()
    set_key(values, key, EXTREME[key])
    assert flat(RunConfig.from_dict(values).to_dict())[key] == EXTREME[key]


@pytest.mark.parametrize(
    "training", [TrainingConfig(clip_norm=-1), TrainingConfig(optimizer=OptimizerConfig(learning_rate=INFINITE))]
)
def test_a_config_made_in_python_is_checked_too(training):
    with pytest.raises(ArgumentError, match="training"):
        RunConfig(training=training)
