import warnings

import numpy as np
import pytest
from tiny import BUNDLES, half_of, picture

from aeedge_runtime import AeedgeWarning, ArgumentError, Codec, stream_info
from aeedge_runtime.coding import networks
from aeedge_runtime.stream.container import read_stream

Pixels = np.ndarray


@pytest.fixture(scope="module", params=["tiny-conv", "tiny-hyper", "tiny-dense"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(BUNDLES / request.param, threads=1)


def channels_of(codec: Codec) -> int:
    return codec.bundle.manifest.image.channels


def largest_error(pixels: Pixels, decoded: Pixels) -> int:
    return int(np.abs(pixels.astype(np.int16) - decoded).max())


@pytest.mark.parametrize("error", [0, 1, 2, 3, 8, 16, 64, 255])
def test_no_sample_is_off_by_more(codec: Codec, error: int) -> None:
    pixels = picture(70, 100, channels_of(codec))
    data = codec.compress(pixels, max_error=error)
    assert stream_info(data).max_error == error
    assert largest_error(pixels, codec.decompress(data)) <= error
    assert np.array_equal(np.asarray(codec.decompress_image(data)).reshape(pixels.shape), codec.decompress(data))


@pytest.mark.parametrize("error", [1, 2, 8, 16])
@pytest.mark.parametrize("shift", [-1, 1])
def test_the_bound_holds_where_pixels_differ_by_1(codec: Codec, error: int, shift: int, monkeypatch) -> None:
    pixels = picture(70, 100, channels_of(codec))
    data = codec.compress(pixels, max_error=error)
    decode = networks.Networks.decode_rows

    def elsewhere(self, latents, held, rows, pixels, h):
        decode(self, latents, held, rows, pixels, h)
        pixels[...] = np.clip(pixels.astype(np.int16) + shift, 0, 255)

    monkeypatch.setattr(networks.Networks, "decode_rows", elsewhere)
    assert largest_error(pixels, codec.decompress(data)) <= error


def test_a_larger_bound_takes_fewer_bytes(codec: Codec) -> None:
    pixels = picture(96, 128, channels_of(codec))
    sizes = [len(codec.compress(pixels, max_error=error)) for error in (0, 2, 8, 32)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2


def test_exact_images_keep_alpha_and_batches() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    images = np.stack([picture(40, 50, 4, seed) for seed in range(3)])
    np.testing.assert_array_equal(codec.decompress_batch(codec.compress_batch(images, max_error=0)), images)
    near = codec.decompress_batch(codec.compress_batch(images, max_error=5))
    assert largest_error(images[..., :3], near[..., :3]) <= 5
    np.testing.assert_array_equal(near[..., 3], images[..., 3])


def test_a_gray_picture_is_bounded_as_gray() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    pixels = picture(70, 80, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeedgeWarning)
        data = codec.compress(pixels, max_error=12)
    assert stream_info(data).gray
    assert largest_error(pixels, codec.decompress(data)) <= 12


def test_stored_tiles_have_no_residual() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    pixels = np.full((192, 192, 3), 255, np.uint8)
    pixels[::5, ::3], pixels[:64, :64] = 0, picture(64, 64, 3)
    data = codec.compress(pixels, max_error=24)
    stream = read_stream(data, geometry_for=lambda _: codec.bundle.geometry)
    assert stream.tiles is not None
    assert 0 < stream.tiles.tiles < 9
    assert stream.bound is not None
    assert stream.bound.residual is None or not (stream.bound.residual.held & stream.tiles.held).any()
    assert largest_error(pixels, codec.decompress(data)) <= 24


def test_without_a_steady_decoder_there_is_no_residual(tmp_path) -> None:
    encoder = Codec.load(half_of("tiny-conv", "encoder", tmp_path / "half"), threads=1)
    pixels = picture(70, 100, 3)
    data = encoder.compress(pixels, max_error=4)
    assert stream_info(data).payload_bytes == 0
    decoded = Codec.load(BUNDLES / "tiny-conv", threads=1).decompress(data)
    assert largest_error(pixels, decoded) <= 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_error": -1}, "max_error: found -1"),
        ({"max_error": 256}, "max_error: found 256"),
        ({"max_error": 2.5}, "max_error: found 2.5"),
        ({"max_error": 2, "quality": 50}, "quality and max_error cannot be combined"),
        ({"max_error": 2, "stored_tiles": False}, "max_error cannot be combined with stored_tiles"),
    ],
)
def test_wrong_bounds_are_refused(options, match) -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    with pytest.raises(ArgumentError, match=match):
        codec.compress(picture(8, 8, 3), **options)
