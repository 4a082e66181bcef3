import numpy as np
import pytest

from aeedge.training.data.coverage import patches_per_image, spread_samples
from aeedge.training.data.datasets import ArrayImages


def images(count, rows, columns):
    return ArrayImages(np.zeros((count, rows, columns, 1), np.uint8))


def test_samples_cover_an_image_from_border_to_border():
    places = spread_samples(images(1, 100, 64), (32, 32), 100)
    assert len(places) == 4 * 2
    seen = np.zeros((100, 64), bool)
    for place in places:
        seen[place.top : place.top + 32, place.left : place.left + 32] = True
    assert seen.all()


@pytest.mark.parametrize(("count", "most", "each"), [(3, 12, 4), (3, 11, 2), (5, 2, 1), (2, 1000, 16)])
def test_images_share_the_samples_alike(count, most, each):
    places = spread_samples(images(count, 128, 128), (32, 32), most)
    assert [place.image for place in places] == [number for number in range(count) for _ in range(each)]
    assert all(place.cut(images(count, 128, 128), (32, 32)).shape == (32, 32, 1) for place in places)


def test_one_sample_is_the_center_and_whole_images_are_one_sample():
    (place,) = spread_samples(images(1, 100, 60), (20, 20), 1)
    assert (place.top, place.left) == (40, 20)
    assert len(spread_samples(images(7, 28, 28), (28, 28), 4096)) == 7


def test_patches_that_cover_an_image_are_counted():
    assert patches_per_image(images(3, 56, 84), (28, 28)) == 6
    assert patches_per_image(images(3, 28, 28), (28, 28)) == 1
