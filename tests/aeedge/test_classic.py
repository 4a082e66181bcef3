import numpy as np
import pytest

from aeedge.classic import CLASSICS, available_classics, choose_classics, lossless_files
from aeedge_runtime import ArgumentError
from aeedge_runtime.images.psnr import psnr_db


def picture(channels):
    rows, columns = np.mgrid[:40, :56]
    planes = [rows * 6, columns * 4, rows + columns][:channels]
    return np.stack(planes, axis=2).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("codec", available_classics(), ids=lambda codec: codec.key)
def test_every_codec_comes_back_better_for_more_bytes(codec, channels):
    pixels = picture(channels)
    files = [codec.encode(pixels, quality) for quality in (codec.qualities[0], codec.qualities[-1])]
    restored = [codec.decode(data, channels) for data in files]
    assert [back.shape for back in restored] == [pixels.shape] * 2
    assert len(files[0]) < len(files[1])
    assert psnr_db(pixels, restored[0]) < psnr_db(pixels, restored[1])


def test_ladders_ascend_and_keys_are_unique():
    for codec in CLASSICS:
        assert list(codec.widened().qualities) == sorted({*codec.low, *codec.qualities})
    assert len({codec.key for codec in CLASSICS}) == len(CLASSICS)


def test_codecs_are_chosen_by_key(monkeypatch):
    assert [codec.key for codec in choose_classics(["webp4", "jpeg", "webp4"])] == ["webp4", "jpeg"]
    assert choose_classics(None) == available_classics()
    with pytest.raises(ArgumentError, match="found bpg, expected some of jpeg, webp4"):
        choose_classics(["bpg"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match="pip install pillow-jxl-plugin"):
        choose_classics(["jxl"])


def test_jpeg_xl_is_compared_where_its_plugin_is_installed():
    pytest.importorskip("pillow_jxl")
    codec = choose_classics(["jxl"])[0]
    assert codec in choose_classics(None)
    pixels = picture(3)
    data = codec.encode(pixels, 60)
    assert data[:2] in (b"\xff\x0a", b"\0\0")  # a bare codestream, or a container
    assert codec.decode(data, 3).shape == pixels.shape
    assert codec.encode(pixels, 60, threads=2) == data


def test_lossless_files_are_there():
    assert set(lossless_files(picture(1))) == {"PNG", "WebP lossless"}
