import numpy as np
import pytest
from scipy import ndimage

from aeedge.applications.images import NamedImage
from aeedge.applications.reference import WINDOW, Reference, feature_maps, smoothed
from aeedge_runtime import ArgumentError, Codec


@pytest.fixture(scope="module")
def codec(dense):
    return Codec.load(dense, threads=1)


def parts(count, seed, *, aligned=True, size=(32, 48)):
    """Ramps with a bright block, at one place or anywhere, and a little noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    found = []
    for number in range(count):
        image = 60 + 2.0 * rows + random.normal(0, 2, size)
        top, left = (8, 12) if aligned else (random.integers(0, size[0] - 8), random.integers(0, size[1] - 8))
        image[top : top + 8, left : left + 8] += 60
        if not aligned:
            image += 3.0 * columns * random.choice([-1, 1]) - 2.0 * rows
        found.append(NamedImage(str(number), np.clip(np.rint(image), 0, 255).astype(np.uint8)[..., None], ""))
    return found


def with_defect(image):
    pixels = image.pixels.copy()
    pixels[20:24, 30:34] = 255
    return NamedImage("defect", pixels, "")


def worst(reference, codec, image):
    ((_, maps),) = feature_maps(codec, [image])
    return float(reference.unusual(maps).max())


def test_smoothing_is_a_mean_of_windows():
    values = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    wanted = ndimage.uniform_filter(ndimage.uniform_filter(values, WINDOW, mode="nearest"), WINDOW, mode="nearest")
    np.testing.assert_allclose(smoothed(values)[5:-5, 5:-5], wanted[5:-5, 5:-5], atol=1e-5)
    assert smoothed(values[:1, :1]) == pytest.approx(values[:1, :1])


def test_aligned_parts_have_statistics_of_positions_and_show_a_defect(codec):
    good = parts(60, 1)
    reference = Reference.fit(codec, lambda: good)
    assert reference.aligned
    assert (reference.images, reference.false_positive_rate) == (30, pytest.approx(1 / 31))
    fresh = parts(20, 2)
    assert max(worst(reference, codec, image) for image in fresh) < worst(reference, codec, with_defect(fresh[0]))
    assert worst(reference, codec, with_defect(fresh[0])) > reference.threshold
    with pytest.raises(ArgumentError, match="40x32"):
        worst(reference, codec, parts(1, 3, size=(32, 40))[0])


def test_parts_at_any_place_share_their_statistics(codec):
    good = parts(60, 1, aligned=False)
    reference = Reference.fit(codec, lambda: good)
    assert not reference.aligned
    assert worst(reference, codec, parts(1, 3, aligned=False, size=(16, 24))[0]) > 0


def test_the_threshold_keeps_its_rate(codec):
    good = parts(200, 1)
    reference = Reference.fit(codec, lambda: good, 0.1)
    above = [worst(reference, codec, image) > reference.threshold for image in parts(200, 2)]
    assert 0.02 < np.mean(above) < 0.2


def test_too_few_good_images_are_refused(codec):
    for count in (0, 1, 38):
        with pytest.raises(ArgumentError, match="at least 40"):
            Reference.fit(codec, lambda count=count: parts(count, 1))
