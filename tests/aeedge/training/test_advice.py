import pytest
import torch

from aeedge.models import build_model
from aeedge.presets import find_preset
from aeedge.training.advice import advice
from aeedge.training.data.augmentation import Augmentation
from aeedge.training.data.batches import BatchSource
from aeedge.training.data.datasets import ArrayImages

pytestmark = pytest.mark.torch


def texts(preset, side, steps, held_out=100, source="parts"):
    config = find_preset(preset).config()
    object.__setattr__(config.data, "source", source)
    model = build_model(config.model)
    channels = model.channels
    images = ArrayImages(torch.zeros(4, side, side, channels, dtype=torch.uint8).numpy())
    batches = BatchSource(images, Augmentation((28, 28), flip=False), 8, 0)
    return list(advice(config, model, batches, held_out, steps))


def test_few_steps_are_named():
    (text,) = texts("gray", 256, 30)
    assert "only 30 steps (240 samples)" in text


def test_patches_of_large_images_name_the_preset_for_them():
    (text,) = texts("dense-mnist", 512, 6000)
    assert "train gray" in text
    assert texts("dense-mnist", 28, 6000) == []


def test_held_out_images_for_a_threshold_are_counted():
    (text,) = texts("gray", 256, 6000, held_out=10)
    assert text.startswith("10 images are held out")
    assert texts("photo", 256, 6000, held_out=10) == []
