from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


class Identity(torch.nn.Module):
    """Patches of 4x6 pixels become 24 channels, or pixels stay what they are."""

    def __init__(self, patched):
        super().__init__()
        self.patched, self.stride = patched, (4, 6) if patched else (1, 1)

    def encode(self, image):
        return image.reshape(len(image), -1, 1, 1) if self.patched else image

    def decode(self, latent):
        return latent.reshape(len(latent), -1, 4, 6) if self.patched else latent


class Images:
    def __init__(self, images, latents=None):
        self.images, self.values = images, latents

    def pixels(self):
        return self.images

    def latents(self):
        return self.values

    def restored(self):
        return self.images


def engine(monkeypatch, operation, patched, items):
    from aeedge.benchmark.engines import torch as engine_torch

    monkeypatch.setattr(engine_torch, "load_run", lambda _: SimpleNamespace(model=Identity(patched)))
    made = engine_torch.TorchEngine(Case("torch-eager", operation, "cpu", 1, 2, 15, 10, 50, "array"), Path("run"))
    made.load()
    made.prepare(items)
    return made


@pytest.mark.parametrize("patched", [True, False])
def test_the_work_around_the_network_is_that_of_the_runtime(monkeypatch, patched):
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 15, 3), np.uint8)
    encoder = engine(monkeypatch, "encode", patched, [Images(images)])
    latents = encoder.run(0)
    assert latents.shape == ((2, 72, 3, 3) if patched else (2, 3, 10, 15))
    decoder = engine(monkeypatch, "decode", patched, [Images(images, latents)])
    restored = decoder.run(0)
    assert np.array_equal(restored, images)
    assert decoder.verify(0, restored) == {}
    assert "torch" in decoder.providers()["network"]


def test_a_run_of_another_model_is_refused(monkeypatch):
    images = np.full((2, 10, 15, 3), 200, np.uint8)
    encoder = engine(monkeypatch, "encode", False, [Images(images, np.zeros((2, 3, 10, 15), np.float32))])
    with pytest.raises(WrongResultError, match=r"latents are .*, the bundle's"):
        encoder.verify(0, encoder.run(0)[:, :1])
    with pytest.raises(WrongResultError, match="name the run it was exported from"):
        encoder.verify(0, encoder.run(0))
