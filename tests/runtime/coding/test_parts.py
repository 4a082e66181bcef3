"""One image of a pack, rows of one image, and the channels and the array that they come in."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import BUNDLES, NAMES, change_manifest, copy_of, picture

from aeedge_runtime import ArgumentError, Codec, StreamError, stream_info
from aeedge_runtime.stream.container import read_stream, write_stream


@pytest.fixture(scope="module", params=NAMES)
def codec(request, tmp_path_factory):
    """A codec that takes images above 64x128 pixels in blocks."""
    folder = copy_of(request.param, tmp_path_factory.mktemp("b") / "b")
    change_manifest(folder, lambda values: values["limits"].update(band_pixels=8192))
    return Codec.load(folder, threads=1)


@pytest.fixture(scope="module")
def conv(tmp_path_factory):
    folder = copy_of("tiny-conv", tmp_path_factory.mktemp("b") / "b")
    return Codec.load(change_manifest(folder, lambda values: values["limits"].update(band_pixels=8192)), threads=1)


pytestmark = pytest.mark.usefixtures("small_chunks")


def channels_of(codec):
    return codec.bundle.manifest.image.channels


def differ(first, second):
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second).max())


@pytest.mark.parametrize(("count", "size"), [(20, (24, 40)), (3, (120, 60)), (4, (9, 9))])
def test_an_image_of_a_pack_is_that_of_the_whole(codec, chunks, count, size):
    images = np.stack([picture(*size, channels_of(codec), seed) for seed in range(count)])
    data = codec.compress_batch(images, 80, stored_tiles=False)
    every = codec.decompress_batch(data)
    for index in range(count):
        chunks.clear()
        assert differ(codec.decompress(data, index=index), every[index]) <= 1
        assert len(chunks) <= -(-stream_info(data).chunks // count)


ROWS = [(0, 1), (0, 300), (5, 6), (7, 33), (64, 128), (150, 290), (299, 300), (288, 300)]


@pytest.mark.parametrize("rows", ROWS)
def test_rows_are_those_of_the_whole(codec, rows):
    data = codec.compress(picture(300, 70, channels_of(codec)), 80, stored_tiles=False)
    assert differ(codec.decompress(data, rows=rows), codec.decompress(data)[slice(*rows)]) <= 1


def test_few_rows_need_few_chunks_and_little_of_the_network(codec, chunks, monkeypatch):
    data = codec.compress(picture(900, 70, channels_of(codec)), 80, stored_tiles=False)
    pixels, run = [], codec._networks._run_decoder

    def count(latents):
        made = run(latents)
        pixels.append(made.size)
        return made

    monkeypatch.setattr(codec._networks, "_run_decoder", count)
    codec.decompress(data, rows=(400, 410))
    assert 0 < len(chunks) < stream_info(data).chunks / 2
    assert sum(pixels) < 900 * 70 * channels_of(codec) / 3


def test_a_network_that_takes_the_whole_image_gets_it(monkeypatch):
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    data = codec.compress(picture(300, 70, 3), 80, stored_tiles=False)
    expected, sizes, run = codec.decompress(data), [], codec._networks._run_decoder
    monkeypatch.setattr(
        codec._networks, "_run_decoder", lambda latents: sizes.append(latents.shape[2:]) or run(latents)
    )
    assert np.array_equal(codec.decompress(data, rows=(100, 109)), expected[100:109])
    assert sizes == [(38, 9)]


@pytest.mark.parametrize("options", [{"quality": 70}, {"max_error": 6}, {"max_error": 0}])
def test_alpha_stored_tiles_and_a_bound_belong_to_their_part(conv, options):
    pixels = picture(300, 140, 4)
    pixels[:, :64, :3] = 200
    pixels[100:, 100:, 3] = 0
    data = conv.compress(pixels, **options)
    whole = conv.decompress(data)
    for rows in ROWS:
        assert differ(conv.decompress(data, rows=rows), whole[slice(*rows)]) <= 1
    images = np.stack([pixels[top : top + 100] for top in (0, 100, 200)])
    data = conv.compress_batch(images, **options)
    every = conv.decompress_batch(data)
    for index in range(3):
        assert differ(conv.decompress(data, index=index), every[index]) <= 1
        assert differ(conv.decompress(data, index=index, rows=(30, 90)), every[index, 30:90]) <= 1


def test_three_channels_leave_alpha_out_and_repeat_gray(conv):
    gray = Codec.load(BUNDLES / "tiny-dense", threads=1)
    for codec, channels in ((conv, 4), (gray, 1), (gray, 2), (conv, 3)):
        data = codec.compress(picture(24, 40, channels))
        found, every = codec.decompress(data, channels=3), codec.decompress(data)
        expected = np.repeat(every[..., :1], 3, axis=2) if channels < 3 else every[..., :3]
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(codec.decompress_batch(data, channels=3)[0], expected)
    for bad in (1, 4, "3", True):
        with pytest.raises(ArgumentError, match="channels"):
            conv.decompress(data, channels=bad)


def test_pixels_go_into_the_array_of_the_caller(conv):
    data = conv.compress(picture(40, 56, 4))
    batch = np.zeros((2, 40, 56, 4), np.uint8)
    assert np.shares_memory(conv.decompress(data, out=batch[1]), batch)
    np.testing.assert_array_equal(batch[1], conv.decompress(data))
    assert not batch[0].any()
    assert conv.decompress_batch(data, out=batch[:1]).base is batch
    rows = np.zeros((3, 56, 3), np.uint8)
    assert conv.decompress(data, rows=(9, 12), channels=3, out=rows) is rows
    np.testing.assert_array_equal(rows, conv.decompress(data)[9:12, :, :3])


READ_ONLY = np.zeros((24, 40, 3), np.uint8)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((24, 40, 4), np.uint8),
        np.zeros((1, 24, 40, 3), np.uint8),
        np.zeros((24, 40, 3), np.int8),
        np.zeros((24, 80, 3), np.uint8)[:, ::2],
        READ_ONLY,
        bytearray(24 * 40 * 3),
    ],
)
def test_other_arrays_are_refused(conv, out):
    data = conv.compress(picture(24, 40, 3))
    with pytest.raises(ArgumentError, match="out"):
        conv.decompress(data, out=out)


@pytest.mark.parametrize("rows", [(0, 0), (3, 2), (-1, 4), (0, 25), (1,), 5, (0.5, 2), "ab", (0, 1, 2)])
def test_other_rows_are_refused(conv, rows):
    with pytest.raises(ArgumentError, match="rows"):
        conv.decompress(conv.compress(picture(24, 40, 3)), rows=rows)


@pytest.mark.parametrize("index", [-1, 2, 0.0, True, "0"])
def test_other_images_are_refused(conv, index):
    data = conv.compress_batch([picture(24, 40, 3)] * 2)
    with pytest.raises(ArgumentError, match="index"):
        conv.decompress(data, index=index)
    with pytest.raises(ArgumentError, match="2 images"):
        conv.decompress(data)


def test_the_hash_of_the_symbols_is_checked_where_all_are_decoded(conv):
    pixels = picture(300, 70, 3)
    for one, expected in ((pixels, False), (pixels[:24, :40], True)):
        data = conv.compress(one, 80, stored_tiles=False)
        stream = read_stream(data, geometry_for=lambda header: conv.bundle.geometry)
        forged = write_stream(replace(stream, symbol_hash=stream.symbol_hash ^ 1))
        with pytest.raises(StreamError, match="hash"):
            conv.decompress(forged)
        if expected:
            with pytest.raises(StreamError, match="hash"):
                conv.decompress(forged, rows=(0, 9))
        else:
            assert conv.decompress(forged, rows=(0, 9)).shape == (9, 70, 3)


def test_damage_in_another_chunk_is_found(conv):
    data = bytearray(conv.compress(picture(300, 70, 3), 80, stored_tiles=False))
    data[-40] ^= 1
    with pytest.raises(StreamError, match="checksum"):
        conv.decompress(data, rows=(0, 9))
