"""What an export takes from a run."""

import numpy as np
import pytest
from PIL import Image

from aeedge.training.config import DataConfig, RunConfig, TrainingConfig
from aeedge.training.loop import train
from aeedge_export.source import CHECK_IMAGES, load_source

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    (folder / "images").mkdir()
    for number in range(32):
        pixels = np.full((1000 if number % 2 else 64, 800, 3), 4 * number, np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    config = RunConfig(
        model={"family": "conv", "width": 24, "latent": 24, "hidden": 4},
        data=DataConfig(source=str(folder / "images"), held_out=0.75, held_out_most=100, crop=(32, 32)),
        training=TrainingConfig(max_steps=1, batch_size=2),
    )
    train(config, folder / "run")
    return folder / "run"


@pytest.mark.filterwarnings("ignore::aeedge_runtime.AeedgeWarning")
def test_scores_are_calibrated_on_whole_images_and_the_gate_sees_crops(run):
    source = load_source(run)
    assert {image.shape[0] for image in source.normal} == {64, 1000}
    assert len(source.normal) == 24
    assert max(image.shape[0] for image in source.held_out) == 768
    assert len(source.held_out) == CHECK_IMAGES
