import numpy as np
import pytest
from tiny import picture

from aeedge_runtime.fidelity.tile_choice import find_candidates, grow, least_bytes
from aeedge_runtime.fidelity.tile_fill import fill_tiles

Pixels = np.ndarray


def page(height: int, width: int, seed: int = 0) -> Pixels:
    """Black bars and dots on white, uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    dark = random.random((-(-height // 3), -(-width // 3))) < 0.15
    return np.where(dark.repeat(3, 0).repeat(3, 1)[:height, :width, None], 0, 255).astype(np.uint8).repeat(3, 2)


def test_tiles_of_a_page_are_found_and_those_of_a_photograph_are_not() -> None:
    mixed = page(320, 320)
    mixed[:128, :192] = picture(128, 192, 3)
    found = find_candidates(mixed[None])
    expected = np.ones((5, 5), np.bool_)
    expected[:2, :3] = False
    np.testing.assert_array_equal(found.tiles, expected)


def test_a_photograph_has_no_candidates() -> None:
    found = find_candidates(picture(300, 300, 3)[None])
    assert not found.tiles.any()
    assert not found.whole


def test_a_flat_sky_is_no_core_and_flat_tiles_next_to_text_are_taken() -> None:
    sky = np.full((200, 640, 3), 255, np.uint8)
    sky[100:] = picture(100, 640, 3)
    assert not find_candidates(sky[None]).tiles.any()
    beside = np.full((64, 640, 3), 255, np.uint8)
    beside[:, :64] = page(64, 64)
    assert find_candidates(beside[None]).tiles.all()


def test_growth_stays_inside_an_image() -> None:
    cores = np.zeros((4, 2), np.bool_)
    cores[1, 0] = True
    np.testing.assert_array_equal(grow(cores, np.ones((4, 2), np.bool_), 2), [[1, 1], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(grow(cores, np.ones((4, 2), np.bool_), 4), np.ones((4, 2)))


@pytest.mark.parametrize(
    "image",
    [
        np.full((300, 400, 3), (0, 0, 255), np.uint8),
        np.tile(picture(37, 53, 3), (9, 9, 1)),
        (np.indices((200, 200)).sum(0) % 2 * 255).astype(np.uint8)[..., None],
        np.random.default_rng(0).integers(0, 9, (300, 300, 1), np.uint8),
        picture(64, 64, 3),
    ],
    ids=["solid", "texture", "checkers", "few-grays", "small"],
)
def test_what_may_be_smaller_as_a_whole_is_tried(image: Pixels) -> None:
    assert find_candidates(image[None]).whole


def test_the_fewest_bytes_are_below_those_of_noise_and_of_a_photograph() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    assert 0.49 < least_bytes(noise) / noise.size <= 0.5
    assert least_bytes(np.zeros((9, 9, 3), np.uint8)) == 0
    assert least_bytes(noise[:1]) == 0


def test_a_filled_tile_lies_between_its_neighbors() -> None:
    pixels = np.zeros((1, 192, 192, 3), np.uint8)
    pixels[:, :, :96], pixels[:, :, 96:] = 40, 200
    pixels[0, 64:128, 64:128] = page(64, 64)
    held = np.zeros((3, 3), np.bool_)
    held[1, 1] = True
    filled = fill_tiles(pixels, held)
    hole = filled[0, 64:128, 64:128]
    assert 40 <= hole.min() <= hole.max() <= 200
    assert (np.diff(hole[32, :, 0].astype(int)) >= 0).all()
    assert abs(int(hole[32, 0, 0]) - 40) < 20
    outside = np.repeat(np.repeat(~held, 64, 0), 64, 1)
    np.testing.assert_array_equal(filled[0][outside], pixels[0][outside])


def test_an_image_of_a_batch_that_is_stored_as_a_whole_is_filled_with_its_mean() -> None:
    pixels = np.stack([page(40, 50), picture(40, 50, 3)])
    filled = fill_tiles(pixels, np.array([[True], [False]]))
    np.testing.assert_array_equal(filled[1], pixels[1])
    assert np.ptp(filled[0], axis=(0, 1)).max() == 0
    assert abs(filled[0].mean() - pixels[0].mean()) < 8
