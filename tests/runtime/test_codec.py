import gc
import os
import pickle
import signal
import threading
import time
import warnings
import weakref

import numpy as np
import pytest
from PIL import Image
from tiny import BUNDLES, NAMES, change_arrays, change_manifest, copy_of, half_of, picture, psnr

from aeedge_runtime import (
    AeedgeWarning,
    ArgumentError,
    BundleError,
    Codec,
    DeviceError,
    ImageError,
    InputError,
    LimitError,
    MissingHalfError,
    Picture,
    StreamError,
    UnsupportedStreamError,
    WrongModelError,
    stream_info,
    stream_names,
)
from aeedge_runtime.coding import networks as networks_module
from aeedge_runtime.images.save import image_bytes, picture_bytes
from aeedge_runtime.stream import sections
from aeedge_runtime.stream.container import Stream, read_stream, write_stream


@pytest.fixture(scope="module", params=NAMES)
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(BUNDLES / request.param, threads=1)


@pytest.fixture(scope="module")
def conv() -> Codec:
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


def channels_of(codec: Codec) -> int:
    return codec.bundle.manifest.image.channels


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (7, 17), (33, 64), (65, 31)])
def test_any_size_comes_back(codec: Codec, size: tuple[int, int]) -> None:
    pixels = picture(*size, channels_of(codec))
    data = codec.compress(pixels, 90, stored_tiles=False)
    restored = codec.decompress(data)
    assert restored.shape == pixels.shape
    assert restored.dtype == np.uint8
    assert psnr(pixels, restored) > 25
    assert data == codec.compress(pixels, 90, stored_tiles=False)
    assert len(data) <= 32 + stream_info(data).payload_bytes


def test_quality_trades_bytes_for_pixels(codec: Codec) -> None:
    pixels = picture(64, 48, channels_of(codec))
    streams = [codec.compress(pixels, quality) for quality in (5, 50, 95)]
    assert sorted(map(len, streams)) == [len(stream) for stream in streams]
    quality = [psnr(pixels, codec.decompress(stream)) for stream in streams]
    assert sorted(quality) == quality
    assert stream_info(streams[2]).quality == 95


def test_symbols_are_those_that_were_written(codec: Codec) -> None:
    data = codec.compress(picture(40, 24, channels_of(codec)), 70)
    symbols = codec.decompress_symbols(data)
    geometry = codec.bundle.geometry
    latent = geometry.latent_channels * 5 * 3
    assert symbols.size == latent + geometry.hyper_channels * 2 * 1
    assert np.count_nonzero(symbols) > 0


def test_encode_and_decode_are_the_codec_without_coding(codec: Codec) -> None:
    pixels = picture(19, 26, channels_of(codec))
    latent = codec.encode(pixels)
    assert latent.shape == (codec.bundle.manifest.latent_channels, 3, 4)
    assert latent.dtype == np.float32
    decoded = codec.decode(latent, (19, 26))
    assert psnr(decoded, codec.decompress(codec.compress(pixels, 100, stored_tiles=False))) > 35
    both = codec.encode_batch([pixels, pixels])
    np.testing.assert_allclose(both[1], latent, rtol=0, atol=1e-3)
    assert codec.decode_batch(both, (19, 26)).shape == (2, *pixels.shape)


def test_batch_equals_single_images(codec: Codec) -> None:
    channels = channels_of(codec)
    images = np.stack([picture(12, 20, channels, seed) for seed in range(5)])
    data = codec.compress_batch(images, 60, names=[f"a/{index}.png" for index in range(5)])
    restored = codec.decompress_batch(data)
    singles = [codec.decompress(codec.compress(image, 60)) for image in images]
    assert np.abs(restored.astype(int) - np.stack(singles)).max() <= 1
    assert stream_names(data) == [f"a/{index}.png" for index in range(5)]
    assert len(data) < sum(len(codec.compress(image, 60)) for image in images)
    assert codec.compress_batch(list(images), 60) == codec.compress_batch(images, 60)
    with pytest.raises(ArgumentError, match="5 images; use decompress_batch"):
        codec.decompress(data)


def test_many_small_images_span_chunks() -> None:
    codec = Codec.load(BUNDLES / "tiny-dense", threads=1)
    images = np.random.default_rng(0).integers(0, 256, (70_000, 8, 8)).astype(np.uint8)
    data = codec.compress_batch(images, 10)
    assert stream_info(data).chunks == 2
    assert codec.decompress_batch(data).shape == (70_000, 8, 8, 1)


def test_tall_image_spans_chunks_and_bands(tmp_path, monkeypatch) -> None:
    folder = change_manifest(
        copy_of("tiny-hyper", tmp_path / "b"), lambda values: values["limits"].update(band_pixels=4096, overlap=1)
    )
    pixels = picture(300, 70, 3)
    whole, banded = Codec.load(BUNDLES / "tiny-hyper", threads=1), Codec.load(folder, threads=1)
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 1000)
    data = whole.compress(pixels, 80)
    assert stream_info(data).chunks > 2
    assert banded.compress(pixels, 80) == data
    np.testing.assert_array_equal(banded.decompress(data), whole.decompress(data))


def test_slices_do_not_change_pixels(codec: Codec, monkeypatch) -> None:
    images = np.stack([picture(20, 20, channels_of(codec), seed) for seed in range(7)])
    data = codec.compress_batch(images)
    pixels = codec.decompress_batch(data)
    monkeypatch.setattr(networks_module, "SLICE_PIXELS", 900)
    assert codec.compress_batch(images) == data
    np.testing.assert_array_equal(codec.decompress_batch(data), pixels)


def test_alpha_metadata_and_gray_survive(conv: Codec) -> None:
    pixels, alpha = picture(11, 13, 3), picture(11, 13, 1, seed=3)
    data = conv.compress(np.concatenate([pixels, alpha], axis=2))
    restored = conv.decompress(data)
    assert restored.shape == (11, 13, 4)
    np.testing.assert_array_equal(restored[..., 3:], alpha)
    facts = Picture(pixels, alpha[..., 0], icc=b"profile", exif=b"MM exif")
    (back,) = conv.decompress_pictures(conv.compress(facts))
    assert (back.icc, back.exif) == (b"profile", b"MM exif")
    (bare,) = conv.decompress_pictures(conv.compress(facts, metadata=False))
    assert (bare.icc, bare.exif) == (None, None)
    with pytest.warns(AeedgeWarning, match="gray image in a color model"):
        data = conv.compress(pixels[..., 0])
    assert stream_info(data).gray
    assert conv.decompress(data).shape == (11, 13, 1)


def test_a_pil_image_is_the_picture(codec: Codec) -> None:
    channels = channels_of(codec)
    facts = Picture(picture(70, 45, channels), picture(70, 45, 1, seed=3)[..., 0], icc=b"profile", exif=b"MM exif")
    for source in (facts, Picture(facts.pixels)):
        data = codec.compress(source)
        (expected,) = codec.decompress_pictures(data)
        found = codec.decompress_image(data)
        planes = np.asarray(found).reshape(70, 45, -1)
        np.testing.assert_array_equal(planes[..., :channels], expected.pixels)
        assert (found.info.get("icc_profile"), found.info.get("exif")) == (
            expected.icc,
            expected.exif and b"Exif\x00\x00" + expected.exif,
        )
        assert image_bytes(found, ".png") == picture_bytes(expected, ".png")
    with pytest.raises(ArgumentError, match="2 images"):
        codec.decompress_image(codec.compress_batch([facts.pixels] * 2))


def test_color_in_a_gray_model_says_so() -> None:
    codec = Codec.load(BUNDLES / "tiny-dense", threads=1)
    with pytest.warns(AeedgeWarning, match="reduced to gray"):
        data = codec.compress(picture(11, 13, 3))
    assert codec.decompress(data).shape == (11, 13, 1)


def test_batch_of_mixed_alpha_and_metadata(conv: Codec) -> None:
    plain = Picture(picture(9, 9, 3), icc=b"one")
    other = Picture(picture(9, 9, 3), alpha=np.full((9, 9), 7, np.uint8), icc=b"two")
    with pytest.warns(AeedgeWarning, match="ICC profiles of the images differ"):
        data = conv.compress_batch([plain, other])
    first, second = conv.decompress_pictures(data)
    assert first.alpha is not None
    assert first.alpha.min() == 255
    assert second.alpha is not None
    assert second.alpha.max() == 7
    assert first.icc is None


@pytest.mark.parametrize("quality", [0, 101, 50.0, True, "50"])
def test_quality_is_validated(conv: Codec, quality: object) -> None:
    with pytest.raises(ArgumentError, match="quality"):
        conv.compress(picture(8, 8, 3), quality)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "found none"),
        ("photo.png", "expected a list"),
        (np.zeros((0, 4, 4), np.uint8), "at least one pixel"),
        (np.zeros((4, 4), np.uint8), "expected .N, H, W"),
        (np.zeros((2, 4, 4), np.float32), "float32, expected uint8"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)], "number 2 is 5x4"),
        (7, "expected a list"),
    ],
)
def test_batches_are_validated(conv: Codec, images: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        conv.compress_batch(images)  # type: ignore[arg-type]


def test_names_must_fit(conv: Codec) -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    for names in (["a"], ["a", "a"], ["a", "../b"], [1, 2], "ab", b"ab", {"a", "b"}, 2, ["a", "\ud800"]):
        with pytest.raises(ArgumentError, match="names: "):
            conv.compress_batch(images, names=names)  # type: ignore[arg-type]


def test_pixel_limits(conv: Codec) -> None:
    pixels = picture(20, 20, 3)
    data = conv.compress(pixels)
    with pytest.raises(LimitError, match="limit is 100"):
        conv.compress(pixels, max_pixels=100)
    with pytest.raises(LimitError, match="limit is 100"):
        conv.decompress(data, max_pixels=100)
    with pytest.raises(LimitError):
        conv.compress_batch(np.stack([pixels, pixels]), max_pixels=700)
    for wrong in (0, True, 1e6):
        with pytest.raises(ArgumentError, match="max_pixels"):
            conv.decompress(data, max_pixels=wrong)  # type: ignore[arg-type]
    assert conv.compress(pixels, max_pixels=np.int64(10**6)) == data  # type: ignore[arg-type]


def test_all_images_together_count(conv: Codec) -> None:
    pixels = picture(8, 8, 3)
    for images in ([pixels] * 3, np.stack([pixels] * 3)):
        with pytest.raises(LimitError, match="3 images of 8x8 have 192 pixels, the limit is 191"):
            conv.compress_batch(images, max_pixels=191)


def test_decode_is_validated(conv: Codec) -> None:
    latent = conv.encode(picture(16, 16, 3))
    with pytest.raises(ArgumentError, match=r"expected float32 .N, 8, 3, 2."):
        conv.decode(latent, (17, 16))
    with pytest.raises(ArgumentError, match="float64"):
        conv.decode(latent.astype(np.float64), (16, 16))
    with pytest.raises(ArgumentError, match=r"latent is float32 .0, 8, 2, 2., expected"):
        conv.decode_batch(np.empty((0, *latent.shape), np.float32), (16, 16))
    with pytest.raises(ArgumentError, match="NaN"):
        conv.decode(np.full_like(latent, np.nan), (16, 16))
    for size in ((0, 16), (16.0, 16), (16,), (16, 16, 3), 16, ("16", "16"), None):
        with pytest.raises(ArgumentError, match=r"expected .rows, columns., integers"):
            conv.decode(latent, size)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="not an array"):
        conv.decode([[1.0, 2.0], [3.0]], (16, 16))  # type: ignore[arg-type]
    for latents in (3.0, [], [[1.0]], "latent", None):
        with pytest.raises(ArgumentError, match="expected float32"):
            conv.decode_batch(latents, (16, 16))  # type: ignore[arg-type]


def test_damage_is_found(codec: Codec) -> None:
    data = codec.compress(picture(17, 9, channels_of(codec)), 80)
    for length in range(len(data)):
        with pytest.raises(StreamError):
            codec.decompress(data[:length])
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(InputError):
            codec.decompress(damaged)


def test_wrong_symbols_are_found(conv: Codec) -> None:
    data = conv.compress(picture(17, 9, 3), 80)
    stream = read_stream(data, geometry_for=lambda _: conv.bundle.geometry)
    forged = write_stream(Stream(**{**vars(stream), "symbol_hash": stream.symbol_hash ^ 1}))
    with pytest.raises(StreamError, match="symbols do not match their hash"):
        conv.decompress(forged)


def test_other_models_are_refused_by_name(codec: Codec) -> None:
    data = codec.compress(picture(9, 9, channels_of(codec)))
    for name in NAMES:
        other = Codec.load(BUNDLES / name)
        if other.bundle.stream_id != codec.bundle.stream_id:
            with pytest.raises(WrongModelError) as caught:
                other.decompress(data)
            assert codec.bundle.stream_id.hex() in str(caught.value)
            assert other.bundle.stream_id.hex() in str(caught.value)


def test_newer_streams_are_unsupported(conv: Codec) -> None:
    data = bytearray(conv.compress(picture(9, 9, 3)))
    data[3] = 200
    with pytest.raises(UnsupportedStreamError):
        conv.decompress(data)


@pytest.mark.parametrize("name", NAMES)
def test_halves_do_their_half(name: str, tmp_path) -> None:
    encoder = Codec.load(half_of(name, "encoder", tmp_path / "e"), threads=1)
    decoder = Codec.load(half_of(name, "decoder", tmp_path / "d"), threads=1)
    pixels = picture(20, 30, channels_of(encoder))
    data = encoder.compress(pixels)
    assert decoder.decompress(data).shape == pixels.shape
    np.testing.assert_array_equal(encoder.decompress_symbols(data), decoder.decompress_symbols(data))
    with pytest.raises(MissingHalfError, match=r"holds no decoder, which decompress needs; .*--only decoder"):
        encoder.decompress(data)
    with pytest.raises(MissingHalfError, match="holds no encoder"):
        decoder.compress(pixels)
    with pytest.raises(MissingHalfError):
        decoder.encode(pixels)
    with pytest.raises(MissingHalfError):
        encoder.decode(encoder.encode(pixels), (20, 30))


def test_latents_that_are_not_finite_are_refused(conv: Codec, monkeypatch) -> None:
    monkeypatch.setattr(conv._networks, "encode", lambda pixels: np.full((1, 8, 1, 1), np.inf, np.float32))
    with pytest.raises(BundleError, match="NaN or infinity"):
        conv.compress(picture(8, 8, 3))


def test_symbols_that_no_table_expects(tmp_path) -> None:
    folder = change_arrays(copy_of("tiny-conv", tmp_path / "b"), lambda arrays: arrays["steps"].fill(1e-3))
    codec = Codec.load(folder, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    data = codec.compress(pixels)
    assert np.abs(codec.decompress_symbols(data)).max() == 32767
    assert codec.decompress(data).shape == pixels.shape


def test_certain_elements_are_forced_to_zero(tmp_path) -> None:
    folder = change_arrays(copy_of("tiny-conv", tmp_path / "b"), lambda arrays: arrays["table_index"].fill(0))
    codec = Codec.load(folder, threads=1)
    data = codec.compress(picture(16, 24, 3))
    assert stream_info(data).payload_bytes == 0
    assert not codec.decompress_symbols(data).any()
    assert np.unique(codec.decompress(data)).tolist() == [128]


def test_sources_of_every_kind_give_the_same_stream(conv: Codec, tmp_path) -> None:
    pixels = picture(21, 18, 3)
    path = tmp_path / "a photo.png"
    Image.fromarray(pixels).save(path)
    wanted = conv.compress(pixels)
    assert conv.compress(path) == conv.compress(str(path)) == conv.compress(path.read_bytes()) == wanted
    assert conv.compress(Image.fromarray(pixels)) == conv.compress(Picture(pixels)) == wanted
    assert conv.compress(np.asfortranarray(pixels)) == wanted
    stream = tmp_path / "a.aee"
    stream.write_bytes(wanted)
    np.testing.assert_array_equal(conv.decompress(stream), conv.decompress(memoryview(wanted)))


def test_unreadable_inputs_are_typed(conv: Codec, tmp_path) -> None:
    with pytest.raises(ImageError):
        conv.compress(tmp_path / "missing.png")
    with pytest.raises(ArgumentError):
        conv.compress(None)  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="cannot be read"):
        conv.decompress(tmp_path / "missing.aee")
    with pytest.raises(ArgumentError, match="found int"):
        conv.decompress(7)  # type: ignore[arg-type]


def test_one_codec_serves_eight_threads(codec: Codec) -> None:
    fresh = Codec.load(codec.bundle, threads=2)
    pixels = picture(40, 40, channels_of(codec))
    results: list[tuple[bytes, bytes]] = []

    def work() -> None:
        for _ in range(12):
            data = fresh.compress(pixels)
            results.append((data, fresh.decompress(data).tobytes()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 96
    assert len(set(results)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_works(codec: Codec) -> None:
    fresh = Codec.load(codec.bundle, threads=2)
    pixels = picture(64, 64, channels_of(codec))
    data = fresh.compress(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads: the very case
        child = os.fork()
    if not child:
        os._exit(0 if fresh.compress(pixels) == data and fresh.decompress(data).shape == pixels.shape else 1)
    assert wait_for(child) == 0
    assert fresh.compress(pixels) == data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_forked_while_threads_work(codec: Codec) -> None:
    pixels = picture(64, 64, channels_of(codec))
    data = codec.compress(pixels, 90)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            fresh = Codec.load(codec.bundle.source, threads=1)  # fills its tables, opens its graphs
            fresh.decompress(fresh.compress(pixels, 90))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if not child:
                os._exit(0 if codec.compress(pixels, 90) == data and codec.decompress(data).size else 1)
            assert wait_for(child) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_files_without_end_are_not_read(conv: Codec, tmp_path) -> None:
    os.mkfifo(tmp_path / "a.aee")
    with pytest.raises(StreamError, match="not a regular file"):
        conv.decompress(tmp_path / "a.aee")
    with pytest.raises(StreamError, match="not a regular file"):
        stream_info("/dev/zero")
    with (tmp_path / "huge.aee").open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(StreamError, match="more than 2147483647 bytes"):
        stream_info(tmp_path / "huge.aee")


def wait_for(child: int) -> int:
    """Exit code of a child; it is killed after 30 seconds."""
    for _ in range(600):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    return -os.waitpid(child, 0)[1]


def test_pickles_as_place_hash_and_options(codec: Codec) -> None:
    copy = pickle.loads(pickle.dumps(codec))
    assert copy.options == codec.options
    assert copy.bundle.hash == codec.bundle.hash
    pixels = picture(10, 10, channels_of(codec))
    assert copy.compress(pixels) == codec.compress(pixels)
    assert len(pickle.dumps(codec)) < 1000


def test_pickle_of_a_bundle_that_changed(tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    data = pickle.dumps(Codec.load(folder))
    change_manifest(folder, lambda values: values.update(name="other"))
    with pytest.raises(BundleError, match="not the one that was pickled"):
        pickle.loads(data)


def test_graphs_of_another_shape_are_found(tmp_path) -> None:
    folder = change_manifest(copy_of("tiny-conv", tmp_path / "b"), lambda values: values["image"].update(stride=[4, 8]))
    codec = Codec.load(folder, threads=1)
    with pytest.raises(BundleError, match=r"encoder\.onnx returned"):
        codec.compress(picture(16, 16, 3))


def test_options_are_validated() -> None:
    place = BUNDLES / "tiny-conv"
    for device in ("gpu", "cuda:x", "provider:", "CPU", ""):
        with pytest.raises(ArgumentError, match="device"):
            Codec.load(place, device=device)
    for threads in (0, True):
        with pytest.raises(ArgumentError, match="threads"):
            Codec.load(place, threads=threads)
    for device in ("cpu", "provider:CPU", "provider:CPUExecutionProvider"):
        with pytest.raises(ArgumentError, match=f"provider_options: the device {device} takes none"):
            Codec.load(place, device=device, provider_options={"a": "b"})
    for options in (5, "ab", {"a": 1}, {1: "b"}, [("a", "b")]):
        with pytest.raises(ArgumentError, match=r"provider_options: found .* expected strings by name"):
            Codec.load(place, device="provider:NoSuch", provider_options=options)  # type: ignore[arg-type]
    with pytest.raises(DeviceError):
        Codec.load(place, device="provider:NoSuch")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ({"alpha": np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)}, "alpha plane, packed, takes 1"),
        ({"icc": bytes(1001)}, "ICC profile takes 1001 bytes, a stream holds at most 1000; leave the metadata out"),
        ({"exif": bytes(1001)}, "EXIF block takes 1001 bytes"),
    ],
)
def test_what_no_stream_can_hold_is_refused_before_the_networks_run(conv, monkeypatch, picture, message):
    monkeypatch.setattr(sections, "MAX_SECTION_BYTES", 1000)
    monkeypatch.setattr(conv._networks, "encode", lambda *_: pytest.fail("encoded"))
    with pytest.raises(LimitError, match=message):
        conv.compress(Picture(np.zeros((32, 40, 3), np.uint8), **picture))


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4, 5), (2, 2, 4, 4, 3)])
def test_a_batch_in_another_shape(conv, shape):
    with pytest.raises(ArgumentError, match="with C from 1 to 4"):
        conv.compress_batch(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("wrong", [np.array("a"), np.array([["a"]]), "a", b"a", 3])
def test_names_that_are_no_list(conv, wrong):
    with pytest.raises(ArgumentError, match="names: found"):
        conv.compress_batch([picture(8, 8, 3)], names=wrong)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_one_file_is_no_list_of_images(conv, kind):
    with pytest.raises(ArgumentError, match=f"images: found {kind.__name__}, expected a list of images"):
        conv.compress_batch(kind(b"data"))


def test_encode_counts_the_padding_too(tmp_path):
    place = change_manifest(copy_of("tiny-conv", tmp_path / "b"), lambda values: values["limits"].update(max_pixels=64))
    small = Codec.load(place, threads=1)
    assert small.encode(np.zeros((8, 8, 3), np.uint8)).shape[1:] == (1, 1)
    with pytest.raises(LimitError, match="128 pixels with padding, the limit is 64"):
        small.encode(np.zeros((1, 9, 3), np.uint8))


@pytest.mark.parametrize(
    ("pixels", "alpha", "message"),
    [
        (np.zeros((40, 50, 3), np.uint8), np.zeros((4, 5), np.uint8), "alpha is uint8"),
        (np.full((8, 8, 3), 300.0), None, "float64"),
        (np.zeros((8, 8), np.uint8), None, "expected .H, W, C."),
        (np.zeros((8, 8, 2), np.uint8), None, "C of 1 or 3"),
    ],
)
def test_a_picture_that_a_caller_made_wrong_is_refused(pixels, alpha, message):
    with pytest.raises(ArgumentError, match=message):
        Codec.load(BUNDLES / "tiny-conv", threads=1).compress(Picture(pixels, alpha=alpha))


def test_images_of_a_generator_may_share_one_array(conv):
    buffer = np.zeros((8, 8, 3), np.uint8)

    def frames():
        for shade in (0, 120, 250):
            buffer[:] = shade
            yield buffer

    expected = conv.compress_batch([np.full_like(buffer, shade) for shade in (0, 120, 250)])
    assert conv.compress_batch(frames()) == expected
    assert conv.compress_batch(Picture(frame) for frame in frames()) == expected


def test_the_provider_of_a_half_that_is_not_there(tmp_path):
    codec = Codec.load(half_of("tiny-conv", "encoder", tmp_path / "half"))
    assert codec.provider("encoder") == "CPUExecutionProvider"
    with pytest.raises(MissingHalfError, match="holds no decoder"):
        codec.provider("decoder")


def test_a_distribution_is_that_of_a_variational_model_alone(conv):
    vae = Codec.load(BUNDLES / "tiny-vae", threads=1)
    pixels = picture(8, 8, vae.bundle.manifest.image.channels)
    mean, log_variance = vae.encode_distribution(pixels)
    np.testing.assert_array_equal(mean, vae.encode(pixels))
    assert log_variance.shape == mean.shape
    assert log_variance.dtype == np.float32
    with pytest.raises(ArgumentError, match="is of family conv, expected vae"):
        conv.encode_distribution(picture(8, 8, 3))


def test_a_shape_that_is_known_does_not_hide_what_else_is_wrong() -> None:
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    image = picture(16, 16, 3)
    for _ in range(2):
        latent = codec.encode(image)
        codec.decode(latent, (16, 16))
    for wrong in (image.astype(np.float32), image.astype(np.int8)):
        with pytest.raises(ArgumentError, match="expected uint8"):
            codec.encode(wrong)
    with pytest.raises(ArgumentError, match="float64"):
        codec.decode(latent.astype(np.float64), (16, 16))
    with pytest.raises(ArgumentError, match="NaN"):
        codec.decode(np.full_like(latent, np.inf), (16, 16))
    with pytest.raises(ArgumentError, match="expected float32"):
        codec.decode(latent, (16, 32))


def test_arrays_that_a_model_takes_as_they_are_give_what_other_sources_give(codec: Codec) -> None:
    pixels = picture(23, 31, channels_of(codec))
    expected = codec.encode(Picture(pixels))
    gray = [pixels[..., 0]] if channels_of(codec) == 1 else []
    for array in (pixels, np.asfortranarray(pixels), *gray):
        for _ in range(2):  # the first time every check is made
            np.testing.assert_array_equal(codec.encode(array), expected)
            np.testing.assert_array_equal(codec.encode_batch(array[None]), expected[None])
    with_alpha = np.concatenate([pixels, pixels[..., :1]], axis=2)
    for _ in range(2):
        np.testing.assert_array_equal(codec.encode(with_alpha), expected)


def opened(codec: Codec) -> set[str]:
    return {role for role, _ in codec._networks._pool._sessions.opened}


@pytest.mark.parametrize("name", ["tiny-conv", "tiny-hyper"])
def test_warming_opens_every_graph(name: str, monkeypatch) -> None:
    codec = Codec.load(BUNDLES / name, threads=1)
    codec.warm([(24, 40), (33, 9)])
    graphs = {file.removesuffix(".onnx") for file in codec.bundle.manifest.files if file.endswith(".onnx")}
    assert opened(codec) == graphs
    monkeypatch.setattr(codec._networks._pool, "_open", lambda *_: pytest.fail("opened a graph"))
    codec.decompress(codec.compress(picture(24, 40, 3)))


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_half_a_model_is_warmed(half: str, tmp_path) -> None:
    codec = Codec.load(half_of("tiny-hyper", half, tmp_path / "b"), threads=1)
    codec.warm()
    assert opened(codec) == {
        file.removesuffix(".onnx") for file in codec.bundle.manifest.files if file.endswith(".onnx")
    }


def test_a_closed_codec_drops_its_graphs_and_refuses_calls() -> None:
    with Codec.load(BUNDLES / "tiny-hyper", threads=1) as codec:
        data = codec.compress(picture(24, 40, 3), stored_tiles=False)
        latent = codec.encode(picture(24, 40, 3))
        session = weakref.ref(codec._networks.session("encoder"))
    gc.collect()
    assert session() is None
    calls = (
        lambda: codec.compress(picture(24, 40, 3)),
        lambda: codec.compress_batch([picture(24, 40, 3)]),
        lambda: codec.decompress(data),
        lambda: codec.decompress_batch(data),
        lambda: codec.decompress_pictures(data),
        lambda: codec.decompress_image(data),
        lambda: codec.decompress_symbols(data),
        lambda: codec.encode(picture(24, 40, 3)),
        lambda: codec.encode_batch([picture(24, 40, 3)]),
        lambda: codec.decode(latent, (24, 40)),
        lambda: codec.provider("encoder"),
        lambda: codec.warm(),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="closed"):
            call()
    assert not opened(codec)
    codec.close()


def test_a_call_in_progress_survives_closing(monkeypatch) -> None:
    codec = Codec.load(BUNDLES / "tiny-hyper", threads=1)
    pixels = picture(24, 40, 3)
    expected = codec.compress(pixels, stored_tiles=False)
    encode = codec._networks.encode
    monkeypatch.setattr(codec._networks, "encode", lambda pixels: (codec.close(), encode(pixels))[1])
    assert codec.compress(pixels, stored_tiles=False) == expected
