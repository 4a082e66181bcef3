import zlib

import numpy as np
import pytest
from PIL import features
from tiny import picture

from aeedge_runtime.errors import BackendError, StreamError
from aeedge_runtime.fidelity.lossless import decode_blob, encode_blob, encode_zlib


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 5), (64, 95)])
@pytest.mark.parametrize("encode", [encode_blob, encode_zlib])
def test_pixels_come_back(channels: int, size: tuple[int, int], encode) -> None:
    for pixels in (picture(*size, channels), np.full((*size, channels), 255, np.uint8)):
        np.testing.assert_array_equal(decode_blob(encode(pixels), *size, channels), pixels)


def test_colors_under_transparent_alpha_come_back() -> None:
    pixels = picture(20, 30, 4)
    pixels[..., 3] = 0
    np.testing.assert_array_equal(decode_blob(encode_blob(pixels), 20, 30, 4), pixels)


def test_the_smaller_kind_is_taken() -> None:
    columns, rows = np.meshgrid(np.linspace(0, 1, 320), np.linspace(0, 1, 240))
    ramp = np.stack([255 * columns, 255 * rows, 255 * (1 - columns) * (1 - rows)], axis=2).round().astype(np.uint8)
    assert encode_blob(ramp, png=True)[0] == 0x78
    assert encode_blob(ramp)[0] == 0x2F


def test_a_pillow_without_webp_writes_zlib_and_says_what_it_cannot_read(monkeypatch) -> None:
    pixels = picture(9, 7, 3)
    blob = encode_blob(pixels)
    monkeypatch.setattr(features, "check", lambda name: False)
    np.testing.assert_array_equal(decode_blob(encode_blob(pixels), 9, 7, 3), pixels)
    with pytest.raises(BackendError, match="WebP"):
        decode_blob(blob, 9, 7, 3)


def test_every_truncation_of_zlib_data_is_refused() -> None:
    blob = encode_zlib(picture(5, 6, 3))
    for cut in range(1, len(blob)):
        with pytest.raises(StreamError):
            decode_blob(blob[:cut], 5, 6, 3)


def test_zlib_data_is_unpacked_within_bounds() -> None:
    with pytest.raises(StreamError, match="a zlib blob of 25 bytes, expected 24"):
        decode_blob(zlib.compress(bytes(1 << 24)), 4, 5, 1)
