"""Any picture comes back right: exactly where tiles are stored, and never in more bytes than a lossless file takes."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tiny import BUNDLES, change_manifest, copy_of, half_of, picture, psnr

from aeedge_runtime import AeedgeWarning, Codec, Picture, stream_info
from aeedge_runtime.coding.encoder import worth

ALLOWANCE = 64
"""Bytes by which a stream may exceed the smaller of PNG and lossless WebP."""

Pixels = np.ndarray


@pytest.fixture(scope="module", params=["tiny-conv", "tiny-hyper"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(BUNDLES / request.param, threads=1)


def text(height: int, width: int, seed: int = 0) -> Pixels:
    """Marks in rows on white, as unlike one another as letters, uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    letters = random.random((40, 7, 5)) < 0.5
    found = np.full((height, width, 3), 255, np.uint8)
    for top in range(2, height - 8, 11):
        for left in range(2, width - 6, 6):
            found[top : top + 7, left : left + 5][letters[random.integers(40)]] = (20, 20, 40)
    return found


def ramp(height: int, width: int) -> Pixels:
    """Three gradients in one, uint8 [height, width, 3]."""
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([columns, rows, (columns + rows) / 2], axis=2).round().astype(np.uint8)


RANDOM = np.random.default_rng(7)
PALETTE = RANDOM.integers(0, 256, (16, 3), np.uint8)
CLASSES = {
    "noise": RANDOM.integers(0, 256, (90, 110, 3), np.uint8),
    "gray-noise": RANDOM.integers(0, 256, (90, 110, 1), np.uint8),
    "bits": RANDOM.integers(0, 2, (90, 110, 1), np.uint8) * np.uint8(255),
    "blue": np.full((150, 200, 3), (0, 0, 255), np.uint8),
    "red-line": np.full((1, 300, 3), (255, 0, 0), np.uint8),
    "ramp": ramp(130, 170),
    "checkers": (np.indices((100, 130)).sum(0) % 2 * 255).astype(np.uint8)[..., None],
    "squares": (np.indices((100, 130)) // 8).sum(0)[..., None].astype(np.uint8) % 2 * np.uint8(200),
    "pixel-art": PALETTE[RANDOM.integers(0, 16, (20, 25))].repeat(6, 0).repeat(6, 1),
    "small-pixel-art": PALETTE[RANDOM.integers(0, 16, (24, 24))],
    "text": text(160, 200),
    "texture": np.tile(RANDOM.integers(0, 256, (23, 31, 3), np.uint8), (6, 6, 1)),
    "photograph": picture(130, 150, 3),
    "gray-photograph": picture(130, 150, 1),
    "photograph-with-alpha": picture(130, 150, 4),
    "logo-with-alpha": np.concatenate([text(130, 150), text(130, 150, 1)[..., :1]], axis=2),
    **{f"{side}x{side + 1}": picture(side, side + 1, 3) for side in (1, 2, 3, 5, 8, 13, 16)},
    **{f"solid-{side}": np.full((side, side, 3), (9, 200, 30), np.uint8) for side in (1, 7, 17)},
}


def lossless_bytes(pixels: Pixels) -> int:
    """Bytes of the smaller of optimized PNG and lossless WebP."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    found = []
    for kind, options in (("PNG", {"optimize": True}), ("WEBP", {"lossless": True, "exact": True})):
        buffer = BytesIO()
        image.save(buffer, kind, **options)
        found.append(len(buffer.getvalue()))
    return min(found)


@pytest.mark.parametrize("quality", [20, 100])
@pytest.mark.parametrize("name", CLASSES)
def test_no_stream_is_larger_than_a_lossless_file(codec: Codec, name: str, quality: int) -> None:
    pixels = CLASSES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeedgeWarning)  # gray in a color model
        data = codec.compress(pixels, quality)
    assert len(data) <= lossless_bytes(pixels) + ALLOWANCE
    restored, info = codec.decompress(data), stream_info(data)
    assert restored.shape == pixels.shape
    if info.max_error == 0:
        np.testing.assert_array_equal(restored, pixels)
    if pixels.shape[2] in (2, 4):
        np.testing.assert_array_equal(restored[..., -1], pixels[..., -1])
    found = codec.decompress_pictures(data)[0]
    np.testing.assert_array_equal(found.pixels, restored[..., : found.pixels.shape[2]])
    image = np.asarray(codec.decompress_image(data))
    np.testing.assert_array_equal(image.reshape(restored.shape), restored)


@pytest.mark.parametrize("name", ["blue", "text", "pixel-art", "logo-with-alpha", "checkers"])
def test_drawings_come_back_exactly(codec: Codec, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeedgeWarning)
        data = codec.compress(CLASSES[name], 60)
    info = stream_info(data)
    assert (info.max_error, info.stored_tiles, info.payload_bytes) == (0, info.tiles, 0)
    assert "alpha" not in info.section_bytes
    assert codec.decompress_symbols(data).size == 0


def mixed(height: int, width: int) -> Pixels:
    """Text with a photograph in a corner."""
    found = text(height, width)
    found[: height // 2, : width // 2] = picture(height // 2, width // 2, 3)
    return found


def stored_map(data: bytes, codec: Codec) -> Pixels:
    """Which pixels are stored, bool [rows of all images, W]."""
    from aeedge_runtime.stream.container import read_stream

    tiles = read_stream(data, geometry_for=lambda _: codec.bundle.geometry).tiles
    assert tiles is not None
    found = np.zeros((tiles.grid.count * tiles.grid.height, tiles.grid.width), np.bool_)
    for box in tiles.boxes():
        place, mask = tiles.grid.pixels(box), tiles.grid.spread(tiles.held, box)
        found[place.top : place.bottom, place.left : place.right] = True if mask is None else mask
    return found


def test_text_among_photographs_is_exact_and_the_photograph_as_good_as_ever(codec: Codec) -> None:
    pixels = mixed(384, 384)
    data = codec.compress(pixels, 60)
    info = stream_info(data)
    assert 0 < info.stored_tiles < info.tiles
    assert info.max_error is None
    exact = stored_map(data, codec)
    restored = codec.decompress(data)
    np.testing.assert_array_equal(restored[exact], pixels[exact])
    alone = codec.compress(pixels, 60, stored_tiles=False)
    assert len(data) < len(alone)
    photograph = slice(0, 150), slice(0, 150)
    assert (
        psnr(pixels[photograph], restored[photograph])
        > psnr(pixels[photograph], codec.decompress(alone)[photograph]) - 0.5
    )


def test_stored_tiles_can_be_turned_off(codec: Codec) -> None:
    data = codec.compress(CLASSES["text"], 60, stored_tiles=False)
    info = stream_info(data)
    assert (info.stored_tiles, info.max_error, info.section_bytes) == (0, None, {})


def test_images_of_a_batch_are_stored_one_by_one(codec: Codec) -> None:
    images = np.stack([text(128, 192), picture(128, 192, 3), text(128, 192, 3)])
    data = codec.compress_batch(images, 60, names=["a", "b", "c"])
    exact = stored_map(data, codec).reshape(3, 128, 192)
    np.testing.assert_array_equal(exact.all(axis=(1, 2)), [True, False, True])
    restored = codec.decompress_batch(data)
    np.testing.assert_array_equal(restored[exact], images[exact])


def test_a_gray_picture_is_stored_as_gray(codec: Codec) -> None:
    page = text(160, 200)[..., :1]
    with pytest.warns(AeedgeWarning, match="gray"):
        data = codec.compress(page, 60)
    assert stream_info(data).gray
    np.testing.assert_array_equal(codec.decompress(data), page)
    said = codec.compress(Picture(text(160, 200), gray=True), 60)  # colors that are to come back as luma
    assert codec.decompress(said).shape == (160, 200, 1)
    assert stream_info(said).max_error == 0


@pytest.mark.parametrize("name", ["tiny-conv", "tiny-hyper"])
def test_a_large_image_in_blocks_is_the_image_at_once(name: str, tmp_path) -> None:
    pixels = mixed(640, 256)
    whole = Codec.load(BUNDLES / name, threads=1)
    folder = change_manifest(copy_of(name, tmp_path / name), lambda values: values["limits"].update(band_pixels=4096))
    parts = Codec.load(folder, threads=1)
    data = parts.compress(pixels, 60)
    assert 0 < stream_info(data).stored_tiles < stream_info(data).tiles
    np.testing.assert_array_equal(parts.decompress(data), np.asarray(parts.decompress_image(data)))
    difference = parts.decompress(data).astype(int) - whole.decompress(data)
    assert abs(difference).max() <= 1


def test_limits_and_targets_count_stored_tiles(codec: Codec) -> None:
    pixels = CLASSES["text"]
    exact = codec.compress(pixels, 60)
    assert codec.compress(pixels, max_bytes=len(exact))[14:] == codec.compress(pixels, 100)[14:]
    limit = len(codec.compress(pixels, 5, stored_tiles=False)) + 20
    assert len(codec.compress(pixels, max_bytes=limit)) <= limit
    best = codec.compress(pixels, target_psnr=90)
    assert stream_info(best).quality == 1 or not np.array_equal(codec.decompress(best), pixels)
    np.testing.assert_array_equal(codec.decompress(best), pixels)


def test_batches_of_small_images_keep_their_bytes() -> None:
    dense = Codec.load(BUNDLES / "tiny-dense", threads=1)
    images = np.stack([picture(28, 28, 1, seed) for seed in range(50)])
    assert dense.compress_batch(images, 50) == dense.compress_batch(images, 50, stored_tiles=False)


def test_without_the_decoder_only_bytes_count(tmp_path) -> None:
    encoder = Codec.load(half_of("tiny-hyper", "encoder", tmp_path / "half"), threads=1)
    assert stream_info(encoder.compress(text(160, 200), 60)).max_error == 0
    pixels = picture(20, 20, 3)
    assert encoder.compress(pixels, 5) == encoder.compress(pixels, 5, stored_tiles=False)


def test_an_error_is_worth_what_training_says() -> None:
    assert (round(worth(1), 4), round(worth(80), 2)) == (0.0013, 0.12)
    assert 0.03 < worth(60) < 0.04
