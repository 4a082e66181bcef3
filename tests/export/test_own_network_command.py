"""`aeedge check`, `export` and `fit-prior` with a network of one's own, and a process without torch in the end."""

import os
import subprocess
import sys

import pytest
import tiny_onnx
from conftest import smooth_images
from PIL import Image

pytestmark = pytest.mark.torch

CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 4, 8, 8), nn.ConvTranspose2d(4, 3, 8, 8)

class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.only = nn.Conv2d(3, 4, 8, 8)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(CODE)
    (folder / "photos").mkdir()
    for number, image in enumerate(smooth_images(4, 64, 96, 3)):
        Image.fromarray(image).save(folder / "photos" / f"{number}.png")
    for name, data in zip(("e", "d"), tiny_onnx.pair(), strict=True):
        (folder / f"{name}.onnx").write_bytes(data)
    return folder


def aeedge(folder, *words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "aeedge", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_check_shows_what_was_found(folder):
    done = aeedge(folder, "check", "mine.py:Net", "--data", "photos")
    assert done.returncode == 0, done.stderr
    assert "stride 8x8" in done.stdout
    assert "receptive field" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "mine.py:Hidden"), 1),
        (("check", "none.py:Net"), 2),
        (("check",), 2),
        (("check", "mine.py:Net", "--encoder", "e.onnx", "--decoder", "d.onnx"), 2),
        (("export", "mine.py:Net", "-o", "b"), 2),
        (("export", "e.onnx", "-o", "b"), 2),
        (("export", "net.pt", "-o", "b"), 2),
        (("export", "mine.py", "-o", "b"), 2),
        (("export", "--encoder", "e.onnx", "-o", "b", "--data", "photos"), 2),
        (("export", "mine.py:Net", "--data", "photos", "--prior", "fit", "--only", "encoder", "-o", "b"), 2),
        (("export", "photo", "--prior", "fit", "-o", "b"), 2),
        (("export", "photo", "--precision", "fp16", "--pixels", "signed", "-o", "b"), 2),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(folder, words, code):
    done = aeedge(folder, *words)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert not (folder / "b").exists()


def test_an_onnx_pair_becomes_a_bundle(folder):
    done = aeedge(folder, "export", "--encoder", "e.onnx", "--decoder", "d.onnx", "--data", "photos", "-o", "onnx.aeb")
    assert done.returncode == 0, done.stderr
    assert (folder / "onnx.aeb").exists()
