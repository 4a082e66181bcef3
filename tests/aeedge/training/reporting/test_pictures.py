import numpy as np
import pytest
from PIL import Image

from aeedge.training.reporting.pictures import save_curves, save_grid


def test_rows_of_small_images_are_enlarged(tmp_path):
    rows = [np.zeros((3, 1, 16, 8), np.float32), np.full((3, 1, 16, 8), 2, np.float32)]
    save_grid(tmp_path / "new" / "grid.png", rows)
    with Image.open(tmp_path / "new" / "grid.png") as image:
        assert image.size == (8 * (3 * 8 + 2 * 2), 8 * (2 * 16 + 2))
        assert (image.getpixel((0, 0)), image.getpixel((0, image.height - 1))) == (0, 255)  # 2 is cut to 1


def test_curves_begin_with_the_second_validation(tmp_path):
    pytest.importorskip("matplotlib")
    row = {"step": 1.0, "train_loss": 2.0, "val_loss": 3.0, "val_psnr_db": 20.0}
    save_curves(tmp_path / "curves.png", [row])
    assert not (tmp_path / "curves.png").exists()
    save_curves(tmp_path / "curves.png", [row, {"step": 2.0, "val_loss": 2.5}])
    Image.open(tmp_path / "curves.png").verify()
