"""The preview and the lite decoder of a bundle that has them, and of one that does not."""

import pickle
from shutil import copytree

import numpy as np
import pytest
from tiny import BUNDLES, change_manifest, half_of, picture, psnr, rehash, with_decoders

from aeedge_runtime import ArgumentError, Bundle, BundleError, Codec, MissingHalfError, StreamError
from aeedge_runtime.coding.preview import reduced


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return with_decoders(tmp_path_factory.mktemp("decoders") / "bundle")


@pytest.fixture(scope="module")
def codec(folder):
    return Codec.load(folder, threads=1)


@pytest.fixture(scope="module")
def gray():
    """Gray in three channels, because the preview of the tiny bundle knows luma alone."""
    return np.repeat(picture(70, 101, 1), 3, axis=2)


def coded(codec, image, **options):
    return codec.compress(image, 90, **{"stored_tiles": False, **options})


def test_a_preview_is_near_the_mean_of_every_8x8_pixels(codec, gray):
    preview = codec.preview(coded(codec, gray))
    assert preview.shape == (9, 13, 3)
    assert psnr(preview[:8, :12], reduced(gray)[:8, :12]) > 40  # the last row and column see the padding as well


def test_a_preview_of_several_chunks_does_not_depend_on_threads_or_bands(folder, gray, tmp_path):
    tall = np.tile(gray, (40, 1, 1))
    banded = copytree(folder, tmp_path / "banded")
    change_manifest(banded, lambda values: values["limits"].update(band_pixels=1 << 14))
    stream = coded(Codec.load(folder, threads=1), tall)
    expected = Codec.load(folder, threads=1).preview(stream)
    for codec in (Codec.load(folder, threads=2), Codec.load(banded, threads=1)):
        assert (codec.preview(stream) == expected).all()


def test_only_the_first_group_is_decoded(codec, folder, gray, tmp_path):
    """Without the graph of the second group, the preview is the same."""
    cut = copytree(folder, tmp_path / "cut")
    stream = coded(codec, gray)
    fresh = Codec.load(cut, threads=1)
    (cut / "group_1.onnx").unlink()
    assert (fresh.preview(stream) == codec.preview(stream)).all()
    with pytest.raises(BundleError):
        fresh.decompress(stream)


def test_a_stream_that_is_cut_short_has_no_preview(codec, gray):
    with pytest.raises(StreamError):
        codec.preview(coded(codec, gray)[:-1])


def test_damage_anywhere_is_found(codec, gray):
    stream = bytearray(coded(codec, gray))
    for place in range(0, len(stream), max(len(stream) // 40, 1)):
        stream[place] ^= 4
        with pytest.raises(StreamError):
            codec.preview(bytes(stream))
        stream[place] ^= 4


def test_stored_tiles_show_in_the_preview(codec):
    image = picture(128, 192, 3)
    image[:64, 64:128] = np.where(np.arange(64)[:, None, None] // 8 % 2, 255, 0)  # rows of 8, black and white
    stream = codec.compress(image, 50)
    assert codec.decompress(stream)[:64, 64:128].tolist() == image[:64, 64:128].tolist()
    assert codec.preview(stream)[:8, 8:16, 0].tolist() == [[0] * 8, [255] * 8] * 4


@pytest.mark.filterwarnings("ignore:a gray image")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_bundle_without_a_preview_reduces_the_image(channels):
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    image = picture(33, 50, channels)
    stream = coded(codec, image[..., 0] if channels == 1 else image)
    assert codec.preview(stream).tolist() == reduced(codec.decompress(stream)).tolist()
    assert codec.preview(stream).shape[:2] == (5, 7)


def test_alpha_is_reduced_with_the_image(codec, gray):
    image = np.dstack([gray, np.full(gray.shape[:2], 200, np.uint8)])
    found = codec.preview_picture(coded(codec, image))
    assert found.alpha is not None
    assert (found.alpha == 200).all()
    assert found.pixels.shape == (9, 13, 3)


@pytest.mark.filterwarnings("ignore:a gray image")
def test_a_gray_source_has_a_gray_preview(codec, gray):
    assert codec.preview(coded(codec, gray[..., 0])).shape == (9, 13, 1)


def test_a_packed_stream_has_no_preview(codec, gray):
    with pytest.raises(ArgumentError):
        codec.preview(codec.compress_batch([gray, gray]))


def test_a_preview_needs_a_decoder(tmp_path, codec, gray):
    half = Codec.load(half_of("tiny-groups", "encoder", tmp_path / "half"))
    with pytest.raises(MissingHalfError):
        half.preview(coded(half, gray))


def test_a_graph_of_another_size_is_refused(tmp_path, gray):
    folder = copytree(BUNDLES / "tiny-hyper", tmp_path / "bundle")
    (folder / "decoder_preview.onnx").write_bytes((folder / "decoder.onnx").read_bytes())
    codec = Codec.load(rehash(folder), threads=1)
    with pytest.raises(BundleError):
        codec.preview(coded(codec, gray))


def test_the_lite_decoder_makes_other_pixels_of_the_same_stream(folder, codec):
    image = picture(48, 64, 3)
    lite = Codec.load(folder, threads=1, decoder="lite")
    stream = coded(codec, image)
    assert lite.bundle.stream_id == codec.bundle.stream_id
    assert coded(lite, image) == stream
    full, light = codec.decompress(stream), lite.decompress(stream)
    assert 10 < psnr(image, light) < psnr(image, full)
    assert (np.asarray(lite.decompress_image(stream)) == light).all()


def test_a_bound_holds_with_the_lite_decoder_too(folder):
    image = picture(48, 64, 3)
    lite = Codec.load(folder, threads=1, decoder="lite")
    stream = lite.compress(image, max_error=6)
    assert int(np.abs(lite.decompress(stream).astype(int) - image).max()) <= 6


def test_a_target_is_met_with_the_full_decoder(folder, codec):
    image = picture(48, 64, 3)
    lite = Codec.load(folder, threads=1, decoder="lite")
    assert lite.compress(image, target_psnr=33) == codec.compress(image, target_psnr=33)


def test_a_pickled_codec_keeps_its_decoder(folder):
    lite = pickle.loads(pickle.dumps(Codec.load(folder, threads=1, decoder="lite")))
    assert lite.decoder == "lite"


@pytest.mark.parametrize("name", ["lite", "tiny"])
def test_a_decoder_that_is_not_there_is_refused(name):
    with pytest.raises(ArgumentError, match=name):
        Codec.load(Bundle.load(BUNDLES / "tiny-groups"), decoder=name)
