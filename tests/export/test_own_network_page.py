"""The page about own networks: its network is trained, exported and used, with its own code and commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import smooth_images
from PIL import Image

pytestmark = [pytest.mark.torch, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-network.md").read_text()
NETWORK, IN_PYTHON, WITHOUT_TORCH = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHELL = "".join(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^((?:python|aeedge) .*)$", SHELL, re.MULTILINE)
BLOCKED = "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"


def run(folder, *words):
    path = os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_leads_from_a_training_loop_to_a_process_without_torch(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(smooth_images(6, 96, 128, 3)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    Image.fromarray(smooth_images(1, 70, 90, 3, seed=9)[0]).save(tmp_path / "photo.png")
    assert "range(2000)" in NETWORK
    (tmp_path / "my_network.py").write_text(NETWORK.replace("range(2000)", "range(15)"))
    train, check, export = (shlex.split(command)[1:] for command in COMMANDS[:3])
    run(tmp_path, *train)
    assert "stride 8x8, 32 latent channels" in run(tmp_path, "-m", "aeedge", *check)
    run(tmp_path, "-m", "aeedge", *export)
    run(tmp_path, "-c", BLOCKED + WITHOUT_TORCH)
    with Image.open(tmp_path / "decoded.png") as decoded:
        assert decoded.size == (90, 70)


def test_the_page_has_the_commands_of_the_guide():
    words = ["my_network.py", "check", "export", "train", "export", "fit-prior", "export"]
    assert [command.split()[1] for command in COMMANDS] == words
    compile(IN_PYTHON, "page", "exec")


def test_the_network_is_a_page_long():
    assert len(NETWORK.splitlines()) <= 50
