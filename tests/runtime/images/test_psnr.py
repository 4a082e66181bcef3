import numpy as np
import pytest
from tiny import picture

from aeedge_runtime import ArgumentError
from aeedge_runtime.images import psnr
from aeedge_runtime.images.psnr import psnr_db, squared_error


def test_equal_images_have_an_infinite_psnr() -> None:
    pixels = picture(8, 8, 3)
    assert psnr_db(pixels, pixels) == float("inf")
    assert psnr_db(pixels, np.clip(pixels, 1, 254)) > 40


def test_errors_are_pooled_over_images_and_slabs(monkeypatch) -> None:
    images = np.zeros((2, 5, 4, 3), np.uint8)
    decoded = images.copy()
    decoded[0, 4, 3, 2], decoded[1, 0, 0, 0] = 255, 3
    monkeypatch.setattr(psnr, "SLAB_PIXELS", 8)
    assert squared_error(images, decoded) == 255**2 + 9
    assert psnr_db(images, decoded) == pytest.approx(10 * np.log10(255**2 * 120 / (255**2 + 9)))


def test_images_of_other_sizes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="shapes"):
        psnr_db(picture(8, 8, 3), picture(8, 4, 3))
