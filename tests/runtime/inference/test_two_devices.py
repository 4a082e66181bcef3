"""One device compresses with the encoder half, another restores with the decoder half; neither has more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import NAMES, half_of, picture, psnr

from aeedge_runtime import Codec

# What a process imports first: a finder that refuses everything a device does not have.
DEVICE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "onnx", "lightning", "aeedge_export"}:
            raise ModuleNotFoundError(f"{name} is not on this device")

sys.meta_path.insert(0, Missing())
from aeedge.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def on_device(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs `aeedge` in a folder of its own, in a process without PyTorch."""
    command = [sys.executable, "-c", DEVICE, *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", NAMES)
def test_one_compresses_the_other_restores(name: str, tmp_path: Path) -> None:
    camera, screen = tmp_path / "camera", tmp_path / "screen"
    camera.mkdir()
    screen.mkdir()
    half_of(name, "encoder", camera / "model")
    half_of(name, "decoder", screen / "model")
    channels = Codec.load(camera / "model").bundle.manifest.image.channels
    pixels = picture(37, 53, channels)
    Image.fromarray(pixels.squeeze()).save(camera / "photo.png")

    sent = on_device(camera, "compress", "photo.png", "-m", "model", "--quality", "90", "--json")
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)
    (camera / "photo.png.aee").rename(screen / "photo.png.aee")
    received = on_device(screen, "decompress", "photo.png.aee", "-m", "model")
    assert received.returncode == 0, received.stderr

    restored = np.asarray(Image.open(screen / "photo.png")).reshape(pixels.shape)
    assert psnr(pixels, restored) > 20
    refused = on_device(camera, "decompress", "../screen/photo.png.aee", "-m", "model", "-o", "again.png")
    assert refused.returncode == 4
    assert "holds no decoder" in refused.stderr
