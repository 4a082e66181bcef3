import json
import shutil

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def vae(conv):
    return conv.parent / "tiny-vae"


@pytest.fixture
def gray(tmp_path):
    """Writes a small gray ramp in a class folder."""

    def write(name, noise=0, size=(16, 24)):
        place = tmp_path / "in" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        rows, columns = np.mgrid[: size[0], : size[1]]
        values = 60 + 4 * rows + 3 * columns + noise * np.random.default_rng(0).normal(size=size)
        Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(place)
        return place

    return write


@pytest.fixture
def calibrated(dense, tmp_path):
    """The tiny dense bundle with a threshold of anomaly scores."""
    place = tmp_path / "calibrated"
    shutil.copytree(dense, place)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["anomaly"] = {"score": "mse", "threshold": 0.001, "false_positive_rate": 0.05, "images": 40}
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place
