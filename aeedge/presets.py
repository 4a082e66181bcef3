"""The named networks with the training they are known to work with. Reading them needs neither torch nor numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from aeedge.configuration import nearest
from aeedge.training.config import DataConfig, LossConfig, OptimizerConfig, RunConfig, TrainingConfig
from aeedge_runtime.errors import ArgumentError


@dataclass(frozen=True)
class Preset:
    """A network, its training and its data, under one name.

    Attributes:
        name: what `aeedge train` takes.
        purpose: what it is for, one line.
        model: plain values of the model config.
        training: the training config.
        data: the data config.
        parameters: trainable parameters; a test counts them.
        macs_per_pixel: multiply-accumulates per pixel of encoder and decoder; a test counts them.
        input_size: what the network sees at once, for people.
        latent_size: values of the latent, for people.
    """

    name: str
    purpose: str
    model: Mapping[str, Any]
    training: TrainingConfig
    data: DataConfig
    parameters: int
    macs_per_pixel: tuple[int, int]
    input_size: str
    latent_size: str

    def config(self) -> RunConfig:
        """Return the full config of a run of this preset."""
        return RunConfig(preset=self.name, model=dict(self.model), training=self.training, data=self.data)


def find_preset(name: str) -> Preset:
    """Return the preset of a name.

    Raises:
        ArgumentError: there is none; the message names the nearest.
    """
    if name not in PRESETS:
        raise ArgumentError(f'there is no preset "{name}"{nearest(name, PRESETS)}')
    return PRESETS[name]


def ships_weights(name: str) -> bool:
    """Return whether trained weights of a preset come with the package."""
    return (resources.files("aeedge") / "pretrained" / f"{name}.safetensors").is_file()


_MNIST = DataConfig(source="mnist")
_PHOTOS = DataConfig(source="synthetic-photos", held_out_most=32, crop=(256, 256), flip=True, turn=True, shrink=0.6)


@dataclass(frozen=True)
class _Dense:
    """Spells the model values of the fully connected presets."""

    hidden: tuple[int, ...]
    latent: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    def values(self, family: str = "dense") -> dict[str, Any]:
        size = {"channels": 1, "height": 28, "width": 28}
        return {"family": family, **size, "hidden": list(self.hidden), "latent": self.latent, **self.extra}


_LIST = (
    Preset(
        name="dense-mnist",
        purpose="digits and other 28x28 gray pictures; small and quick",
        model=_Dense((256,), 64, {"code_activation": True}).values(),
        training=TrainingConfig(loss=LossConfig(terms={"bce": 1.0})),
        data=_MNIST,
        parameters=435536,
        macs_per_pixel=(277, 277),
        input_size="28x28 gray patch",
        latent_size="64 a patch",
    ),
    Preset(
        name="dense-mnist-deep",
        purpose="28x28 gray pictures in 32 values",
        model=_Dense((128, 64), 32).values(),
        training=TrainingConfig(epochs=10),
        data=_MNIST,
        parameters=222384,
        macs_per_pixel=(141, 141),
        input_size="28x28 gray patch",
        latent_size="32 a patch",
    ),
    Preset(
        name="linear-mnist",
        purpose="the linear baseline; nearest to principal components",
        model=_Dense((), 64, {"activation": "none", "output": "linear"}).values(),
        training=TrainingConfig(optimizer=OptimizerConfig(name="sgd", learning_rate=0.01, momentum=0.9)),
        data=_MNIST,
        parameters=101200,
        macs_per_pixel=(64, 64),
        input_size="28x28 gray patch",
        latent_size="64 a patch",
    ),
    Preset(
        name="vae-mnist",
        purpose="generates and interpolates digits; smallest streams",
        model=_Dense((400,), 20).values("vae"),
        training=TrainingConfig(loss=LossConfig(kind="vae", terms={"bce": 1.0}, reduction="sum")),
        data=_MNIST,
        parameters=652824,
        macs_per_pixel=(420, 410),
        input_size="28x28 gray patch",
        latent_size="20 a patch",
    ),
    Preset(
        name="vae-mnist-deep",
        purpose="generates and interpolates digits; deeper",
        model=_Dense((512, 256), 20).values("vae"),
        training=TrainingConfig(loss=LossConfig(kind="vae", terms={"bce": 1.0}, reduction="sum")),
        data=_MNIST,
        parameters=1082680,
        macs_per_pixel=(692, 686),
        input_size="28x28 gray patch",
        latent_size="20 a patch",
    ),
    Preset(
        name="conv-stl10",
        purpose="32x32 colour patches through wide convolutions; large and slow, kept as it was published",
        model={
            "family": "dense",
            "channels": 3,
            "height": 32,
            "width": 32,
            "convolutions": [16, 32, 64, 128],
            "kernel": 5,
            "hidden": [1000],
            "latent": 100,
            "output": "linear",
            "signed": True,
        },
        training=TrainingConfig(epochs=50, batch_size=4, optimizer=OptimizerConfig(weight_decay=1e-5)),
        data=DataConfig(source="stl10", crop=(32, 32)),
        parameters=263018231,
        macs_per_pixel=(398098, 398098),
        input_size="32x32 RGB patch",
        latent_size="100 a patch",
    ),
    Preset(
        name="conv-photo",
        purpose="photos of any size, light on the device; factorised prior",
        model={"family": "conv", "channels": 3, "width": 96, "latent": 128},
        training=TrainingConfig(
            max_steps=20000,
            batch_size=8,
            clip_norm=1.0,
            ema_decay=0.998,
            precision="bf16-mixed",
            channels_last=True,
            validate_steps=500,
            loss=LossConfig(kind="rate-distortion"),
            optimizer=OptimizerConfig(learning_rate=5e-4, schedule="cosine", warmup_steps=100, final_share=0.02),
        ),
        data=_PHOTOS,
        parameters=568368,
        macs_per_pixel=(1800, 4464),
        input_size="any size, RGB",
        latent_size="1/2 a pixel",
    ),
    Preset(
        name="photo",
        purpose="photos of any size; the flagship, exact hyperprior, one model for all rates; ships trained",
        model={"family": "hyperprior"},
        training=TrainingConfig(
            max_steps=100000,
            batch_size=8,
            clip_norm=1.0,
            ema_decay=0.9995,
            precision="bf16-mixed",
            channels_last=True,
            validate_steps=1000,
            loss=LossConfig(kind="hyperprior", terms={"mse": 0.6, "ms-ssim": 0.008}),
            optimizer=OptimizerConfig(
                betas=(0.9, 0.99), schedule="trapezoid", warmup_steps=200, decay_share=0.25, final_share=0.01
            ),
        ),
        data=_PHOTOS,
        parameters=2845048,
        macs_per_pixel=(4576, 13072),
        input_size="any size, RGB",
        latent_size="5/4 a pixel",
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _LIST}
"""Name -> preset, in the order of presentation."""
