import numpy as np
import pytest
from PIL import Image

from aeedge.training.data.proposal import propose


@pytest.mark.parametrize(
    ("size", "mode", "words"),
    [
        ((512, 300), "L", "train gray"),
        ((28, 28), "L", "train dense-mnist"),
        ((40, 40), "L", "train gray"),
        ((512, 300), "RGB", "train photo --from-pretrained"),
        ((32, 32), "RGB", "train conv-photo"),
    ],
)
def test_the_preset_follows_size_and_color(tmp_path, size, mode, words):
    for number in range(3):
        shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
        pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert f"aeedge {words}" in propose(tmp_path)


def test_gray_pixels_in_color_files_count_as_gray(tmp_path):
    Image.new("RGB", (300, 300), (9, 9, 9)).save(tmp_path / "a.png")
    assert "train gray" in propose(tmp_path)
