import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aeedge.training.config import RunConfig
from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge_export import decoder_start, export_run
from aeedge_export.source import training_images
from aeedge_runtime import AeedgeWarning, ArgumentError

pytestmark = [pytest.mark.torch, pytest.mark.slow]

CONFIG = {
    "preset": "dense-mnist",
    "model": {"family": "dense", "hidden": [16], "latent": 8},
    "data": {"source": "synthetic", "count": 96, "held_out": 0.2},
    "training": {"max_steps": 40, "batch_size": 32, "optimizer": {"learning_rate": 0.01}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(RunConfig.from_dict(CONFIG), folder, hardware=Hardware(accelerator="cpu"))
    return folder


def aeedge(*words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "aeedge", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_run_becomes_a_bundle_and_the_command_says_what_it_wrote(run, tmp_path):
    bundle = tmp_path / "bundle"
    done = aeedge("export", run, "-o", bundle)
    assert done.returncode == 0, done.stderr
    assert "latent difference" in done.stdout
    assert f"aeedge verify {bundle}" in done.stdout
    assert json.loads((bundle / "manifest.json").read_text())["training"]["data"] == "synthetic"
    again = aeedge("export", run, "-o", bundle, "--json")
    assert again.returncode == 1
    assert "--force" in json.loads(again.stdout)["error"]
    whole = sum(path.stat().st_size for path in bundle.glob("*.onnx"))
    assert aeedge("export", run, "-o", bundle, "--store-float16", "--force").returncode == 0
    assert sum(path.stat().st_size for path in bundle.glob("*.onnx")) < 0.6 * whole


def test_a_folder_that_is_no_run_is_one_line_and_exit_code_3(tmp_path):
    done = aeedge("export", tmp_path, "-o", tmp_path / "bundle")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "config.json" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:quality")  # forty steps on noise are no training
def test_images_that_have_moved_are_named_and_other_ones_are_told(tmp_path):
    random = np.random.default_rng(0)
    for folder, top in (("images", 255), ("others", 90)):
        (tmp_path / folder).mkdir()
        for number in range(40):
            pixels = random.integers(0, top, (28, 28)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    config = {**CONFIG, "data": {"source": str(tmp_path / "images"), "held_out": 0.3}}
    train(RunConfig.from_dict(config), tmp_path / "run", hardware=Hardware(accelerator="cpu"))
    whole = export_run(tmp_path / "run", tmp_path / "whole")
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(ArgumentError, match="--data"):
        export_run(tmp_path / "run", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    done = aeedge("export", tmp_path / "run", "-o", tmp_path / "bundle", "--data", tmp_path / "moved")
    assert (done.returncode, "trained on" in done.stderr) == (0, False)
    assert f"stream id {whole.stream_id}" in done.stdout
    assert "anomaly threshold: none: 12 held-out images, 20 are needed" in done.stdout
    with pytest.warns(AeedgeWarning, match="images that the run was trained on"):
        other = export_run(tmp_path / "run", tmp_path / "other", data=str(tmp_path / "others"))
    assert other.stream_id != whole.stream_id
    start = decoder_start(tmp_path / "run", tmp_path / "whole")  # needs no images
    assert start.tables == (tmp_path / "whole" / "entropy.npz").read_bytes()


def test_a_prior_is_fitted_to_images_of_the_run_unless_it_takes_patches(run, tmp_path):
    assert [image.shape for image in training_images(run, most=3)] == [(28, 28, 1)] * 3
    done = aeedge("export", run, "--prior", "fit", "-o", tmp_path / "bundle")
    assert done.returncode == 2
    assert "needs neighbors" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "bundle").exists()
