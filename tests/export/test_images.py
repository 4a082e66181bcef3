import numpy as np
import pytest
import tiny_networks as tiny
from conftest import smooth_images
from PIL import Image

from aeedge_export import adapt
from aeedge_export.images import split_images
from aeedge_runtime import AeedgeWarning, ArgumentError

pytestmark = pytest.mark.torch


def test_one_image_in_three_is_held_out_and_no_more_than_needed_are_used():
    calibration, held_out = split_images(adapt(tiny.Plain()), smooth_images(60, 16, 16, 3))
    assert (len(calibration), len(held_out)) == (24, 12)
    assert not any(np.array_equal(one, other) for one in calibration for other in held_out)


def test_large_images_are_cut_and_gray_ones_get_an_axis():
    images = [np.zeros((900, 20), np.uint8)] * 2
    assert {image.shape for part in split_images(adapt(tiny.Plain(1)), images) for image in part} == {(768, 20, 1)}


def test_images_fit_the_pixel_limit_of_a_network_that_takes_them_whole():
    parts = split_images(adapt(tiny.Plain(), whole=2500), smooth_images(2, 90, 90, 3))
    assert {image.shape for part in parts for image in part} == {(48, 48, 3)}


def test_a_folder_is_read_and_broken_files_are_named(tmp_path):
    for number, image in enumerate(smooth_images(3, 16, 16, 3)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.warns(AeedgeWarning, match=r"broken\.png"):
        calibration, held_out = split_images(adapt(tiny.Plain()), tmp_path)
    assert len(calibration) + len(held_out) == 3


@pytest.mark.parametrize("data", [[], smooth_images(1, 16, 16, 3), [np.zeros((8, 8, 4), np.uint8)], [np.zeros((8, 8))]])
def test_too_few_images_or_others_are_refused(data):
    with pytest.raises(ArgumentError):
        split_images(adapt(tiny.Plain()), data)
