import numpy as np

from aeedge.applications.heat_maps import LINE, overlay


def test_what_is_above_the_threshold_is_outlined_and_the_rest_is_the_image():
    image = np.full((9, 9, 1), 100, np.uint8)
    unusual = np.zeros((9, 9), np.float32)
    unusual[2:7, 2:7] = 5
    drawn = overlay(image, unusual, 3.0)
    assert drawn.shape == (9, 9, 3)
    assert (drawn[0] == 100).all()
    assert (drawn[2, 2:7] == LINE).all()
    assert (drawn[4, 4] != LINE).any()
    assert drawn[4, 4, 0] > 150
