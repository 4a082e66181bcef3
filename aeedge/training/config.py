"""The config of a run: everything that decides its result, as frozen dataclasses that need no torch.

What depends on the machine (devices, strategy) is in `aeedge.training.hardware`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal, Self

from aeedge.configuration import Configuration, build
from aeedge_runtime.errors import ArgumentError

SCHEMA = 1
"""Version of config.json; a run of another version is refused."""


@dataclass(frozen=True)
class DataConfig(Configuration):
    """Which images, and how a training sample is made of one.

    Attributes:
        source: "mnist", "fashion-mnist", "cifar10", "stl10", "synthetic", "synthetic-photos", "synthetic-graphics" or
            an image folder.
        others: further sources, mixed with the first one.
        shares: share of the samples that each of the others gives; the first one gives the rest.
        data_dir: folder of torchvision's datasets; missing ones are downloaded to it.
        count: images of a synthetic source, or most images of any other; 0 means all.
        held_out: share of the training images kept for validation.
        held_out_most: most images kept for validation.
        crop: rows and columns of a training sample, cut at a random place; null takes whole images.
        flip: mirror samples left to right at random.
        turn: mirror samples top to bottom and transpose them at random.
        shrink: shrink half of the samples by a random factor from here to 1; 1 shrinks none.
        recolored: share of the samples whose colors are exchanged, inverted, turned in hue or saturated.
        only_label: train on images of this class only (one-class anomaly scores); null takes all.
    """

    source: str = "synthetic"
    others: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    data_dir: str = "data"
    count: int = 0
    held_out: float = 0.05
    held_out_most: int = 1000
    crop: tuple[int, int] | None = None
    flip: bool = False
    turn: bool = False
    shrink: float = 1.0
    recolored: float = 0.0
    only_label: int | None = None


@dataclass(frozen=True)
class LossConfig(Configuration):
    """The objective.

    Attributes:
        kind: "reconstruction", "vae" (adds the KL divergence), "rate-distortion" (adds bits under a learned
            factorized prior) or "hyperprior" (the flagship's own).
        terms: distortion, name -> weight; names are mse, bce, l1, huber and ms-ssim. Where bits are weighed against
            it, 0.02 of ms-ssim is worth 1 of mse (the published pairs of lambda: 0.0018 and 2.40, 0.18 and 220).
        reduction: "mean" over all values, or "sum" over the values of an image and mean over images.
        kl_weight: factor of the KL divergence (beta of the beta-VAE).
        kl_warmup_steps: steps over which that factor grows from 0.
        free_bits: nats per latent dimension below which the KL divergence is not reduced further.
        rate_lambda: weight of 255^2 MSE against bits per pixel at a quantizer step of 1.
        step_range: quantizer steps are drawn log-uniformly from this range, one per image.
    """

    kind: Literal["reconstruction", "vae", "rate-distortion", "hyperprior"] = "reconstruction"
    terms: Mapping[str, float] = field(default_factory=lambda: {"mse": 1.0})
    reduction: Literal["mean", "sum"] = "mean"
    kl_weight: float = 1.0
    kl_warmup_steps: int = 0
    free_bits: float = 0.0
    rate_lambda: float = 0.01
    step_range: tuple[float, float] = (0.5, 4.0)


@dataclass(frozen=True)
class OptimizerConfig(Configuration):
    """The optimizer and the schedule of its learning rate.

    Attributes:
        name: "adam", "adamw" or "sgd".
        learning_rate: peak learning rate.
        weight_decay: L2 penalty (adam, sgd) or decoupled decay (adamw).
        momentum: of sgd.
        betas: of adam and adamw.
        schedule: after a linear warm-up "constant", "cosine" or "trapezoid" (constant, then linear to the end, so that
            a run can be made longer before its decay begins).
        warmup_steps: steps of the warm-up.
        decay_share: share of all steps over which a trapezoid falls.
        final_share: what a cosine or trapezoid falls towards and would reach one step after the last, as a share of the
            peak.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "trapezoid"] = "constant"
    warmup_steps: int = 0
    decay_share: float = 0.25
    final_share: float = 0.0


@dataclass(frozen=True)
class TrainingConfig(Configuration):
    """Duration and method of training.

    Attributes:
        epochs: passes over the training images; the step count follows from it unless `max_steps` is set.
        max_steps: optimizer steps in all; null leaves it to `epochs`.
        batch_size: images per optimizer step, over all devices and accumulated parts.
        accumulate: equal parts in which each device works through its share of a batch.
        clip_norm: largest norm of the gradient; 0 does not clip.
        ema_decay: decay of the moving average of the weights; 0 keeps none. The average is what is validated and kept.
        precision: Lightning's name, "32-true" or "bf16-mixed".
        channels_last: keep weights and images in NHWC order.
        trainable: "all", or "decoder" to keep encoder and latent as they are (see `aeedge train --train-decoder`).
        corrupt: damage done to the network's input but not to its target, e.g. "gaussian:0.3"; empty for none.
        validate_steps: optimizer steps between validations; 0 validates once an epoch.
        checkpoint_steps: steps between further checkpoints; every validation writes one anyway; 0 for none.
        patience: validations without improvement after which training stops early; 0 never stops.
        seed: of everything: split, initial weights, batches, augmentation, noise.
    """

    epochs: int = 20
    max_steps: int | None = None
    batch_size: int = 128
    accumulate: int = 1
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = False
    trainable: Literal["all", "decoder"] = "all"
    corrupt: str = ""
    validate_steps: int = 0
    checkpoint_steps: int = 0
    patience: int = 0
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True)
class RunConfig(Configuration):
    """The whole config of a run: what `aeedge presets NAME` prints and `config.json` holds.

    Attributes:
        schema: version of this layout.
        preset: name of the preset it started from.
        model: plain values of the model's config dataclass; the key "family" chooses the class.
        training: how it is trained.
        data: what it is trained on.
    """

    schema: int = SCHEMA
    preset: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        """Check the values; see `check`."""
        check(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Build the config from plain values.

        Raises:
            ArgumentError: another schema version, an unknown or missing key, a wrong type or an impossible value.
        """
        found = values.get("schema", SCHEMA) if isinstance(values, Mapping) else SCHEMA
        if found != SCHEMA:
            raise ArgumentError(
                f"config: found schema {found}, expected {SCHEMA}; it is from another version of aeedge"
            )
        return build(cls, values, where)


RANGES: tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...] = (
    (
        "a number above 0",
        lambda value: value > 0,
        (
            "training.epochs",
            "training.accumulate",
            "training.optimizer.learning_rate",
            "training.loss.rate_lambda",
        ),
    ),
    ("at least 1", lambda value: value >= 1, ("training.max_steps", "data.crop", "data.held_out_most")),
    ("1 to 2^24", lambda value: 1 <= value <= 2**24, ("training.batch_size",)),
    ("0 to 2^40", lambda value: 0 <= value <= 2**40, ("data.count",)),
    (
        "0 or more",
        lambda value: value >= 0,
        (
            "training.clip_norm",
            "training.validate_steps",
            "training.checkpoint_steps",
            "training.patience",
            "training.optimizer.weight_decay",
            "training.optimizer.warmup_steps",
            "training.loss.kl_weight",
            "training.loss.kl_warmup_steps",
            "training.loss.free_bits",
        ),
    ),
    (
        "0 to below 1",
        lambda value: 0 <= value < 1,
        ("training.ema_decay", "training.optimizer.momentum", "training.optimizer.betas"),
    ),
    (
        "a share from 0 to 1",
        lambda value: 0 <= value <= 1,
        ("training.optimizer.final_share", "data.recolored"),
    ),
    ("a share above 0 up to 1", lambda value: 0 < value <= 1, ("training.optimizer.decay_share",)),
    ("a share between 0 and 1", lambda value: 0 < value < 1, ("data.held_out", "data.shares")),
    ("a factor above 0 up to 1", lambda value: 0 < value <= 1, ("data.shrink",)),
)
"""Expectations in words and as a test, and the keys they hold for: for each value of a list, and not for null."""


def check(config: RunConfig) -> None:
    """Check that a run can use the values.

    Raises:
        ArgumentError: naming the key, what was found and what is expected.
    """
    for words, holds, keys in RANGES:
        for key in keys:
            found: Any = reduce(getattr, key.split("."), config)
            for value in found if isinstance(found, tuple) else (found,):
                if value is not None and not (abs(value) < math.inf and holds(value)):
                    raise ArgumentError(f"{key}: found {_shown(found)}, expected {words}")
    _check_mixture(config.data)
    _check_loss(config.training.loss)


def _check_mixture(data: DataConfig) -> None:
    found, wanted = len(data.shares), len(data.others)
    if found != wanted:
        raise ArgumentError(f"data.shares: found {found}, expected {wanted}, one for each source in data.others")
    if sum(data.shares) >= 1:
        raise ArgumentError(
            f"data.shares: found {_shown(data.shares)}, expected a sum below 1, as data.source gives the rest"
        )


def _check_loss(loss: LossConfig) -> None:
    if not loss.terms:
        raise ArgumentError("training.loss.terms: found none, expected at least one distortion")
    for name, weight in loss.terms.items():
        if not 0 <= weight < math.inf:
            raise ArgumentError(f"training.loss.terms.{name}: found {weight}, expected 0 or more")
    if not any(loss.terms.values()):
        raise ArgumentError("training.loss.terms: found only weights of 0, expected one above 0")
    low, high = loss.step_range
    if not 0 < low <= high < math.inf:
        raise ArgumentError(f"training.loss.step_range: found {_shown(loss.step_range)}, expected 0 < low <= high")


def _shown(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)
