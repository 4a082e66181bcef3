import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

# Test modules share the small graphs that lie beside them.
sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("torch")

import torch

from aeedge.models import build_model
from aeedge_export import Source, export_source
from aeedge_export.draft import build_draft

CONFIGS = {
    "dense": {"family": "dense", "channels": 1, "height": 8, "width": 8, "hidden": [24], "latent": 6},
    "vae": {"family": "vae", "channels": 1, "height": 8, "width": 8, "hidden": [24], "latent": 4},
    "conv": {"family": "conv", "width": 24, "latent": 32, "hidden": 8},
    "hyperprior": {
        "family": "hyperprior",
        "width": 24,
        "latent_channels": 32,
        "hidden": 8,
        "decoder_hidden": 8,
        "hyper_channels": 4,
        "groups": [12, 8, 12],
        "group_hidden": [12, 16],
        "levels": 4,
    },
}


def smooth_images(count: int, height: int, width: int, channels: int, seed: int = 0) -> list[np.ndarray]:
    """Colored blobs: uint8 [H, W, C], different every time, with structure that a network can learn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    images = []
    for _ in range(count):
        image = np.zeros((height, width, channels))
        for _ in range(4):
            center, radius = rng.uniform(0, 1, 2) * (height, width), rng.uniform(0.1, 0.5) * min(height, width)
            blob = np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (2 * radius**2))
            image += blob[..., None] * rng.uniform(-200, 250, channels)
        images.append(np.clip(image + 60 + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8))
    return images


def train_briefly(model: torch.nn.Module, images: list[np.ndarray], steps: int = 60) -> None:
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        loss = (model(batch) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@dataclass
class Sources:
    """Makes each family's source once."""

    made: dict[str, Source] = field(default_factory=dict)

    def __call__(self, family: str) -> Source:
        if family not in self.made:
            self.made[family] = make_source(family)
        return self.made[family]


def make_source(family: str) -> Source:
    torch.manual_seed(0)
    model = build_model(CONFIGS[family])
    if model.patched:
        images = smooth_images(400, 8, 8, 1)
        train_briefly(model, images)
    else:
        images = smooth_images(4, 96, 128, 3)
        perturb(model)
    return Source(model.eval(), f"tiny-{family}", family, "", {"steps": 60}, images[: len(images) * 3 // 4], images)


def perturb(model: torch.nn.Module) -> None:
    """Give every weight that starts at zero a small value, so that all layers count."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.002 * torch.randn(parameter.shape, generator=generator)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)  # tiny networks: more threads only wait for each other


@pytest.fixture(scope="session")
def source() -> Sources:
    return Sources()


@pytest.fixture(scope="session")
def bundles(source, tmp_path_factory):
    """Exports each family once, as a folder."""
    made = {}

    def make(family):
        if family not in made:
            folder = tmp_path_factory.mktemp(family) / "bundle"
            made[family] = export_source(source(family), folder)
        return made[family]

    return make


@pytest.fixture(scope="session")
def hyper_draft(source):
    return build_draft(source("hyperprior"), None, lambda line: None)[0]
