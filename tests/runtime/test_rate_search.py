import numpy as np
import pytest
from tiny import BUNDLES, NAMES, half_of, picture, psnr

from aeedge_runtime import AeedgeWarning, ArgumentError, Codec, MissingHalfError, TargetNotReachedError, stream_info
from aeedge_runtime.rate_search import MaxBytes, MinPsnr, choose_rate, find_stream


@pytest.fixture(scope="module", params=NAMES)
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(BUNDLES / request.param, threads=1)


@pytest.fixture
def conv() -> Codec:
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


def channels_of(codec: Codec) -> int:
    return codec.bundle.manifest.image.channels


def test_the_byte_limit_is_never_exceeded_and_well_used(codec: Codec) -> None:
    pixels = picture(48, 40, channels_of(codec))
    sizes = {quality: len(codec.compress(pixels, quality, stored_tiles=False)) for quality in range(1, 101)}
    for limit in range(min(sizes.values()), max(sizes.values()) + 9, 37):
        data = codec.compress(pixels, max_bytes=limit, stored_tiles=False)
        assert len(data) <= limit
        quality = stream_info(data).quality
        assert data == codec.compress(pixels, quality, stored_tiles=False)
        assert quality == 100 or sizes[quality + 1] > limit


def test_the_smallest_size_is_named_and_can_be_met(codec: Codec) -> None:
    pixels = picture(48, 40, channels_of(codec))
    smallest = min(len(codec.compress(pixels, quality, stored_tiles=False)) for quality in range(1, 101))
    with pytest.raises(
        TargetNotReachedError, match=f"at most {smallest - 1} bytes .* smallest size .* {smallest} bytes"
    ):
        codec.compress(pixels, max_bytes=smallest - 1, stored_tiles=False)
    assert len(codec.compress(pixels, max_bytes=smallest, stored_tiles=False)) == smallest


def test_bits_per_pixel_are_a_limit_with_the_header_inside(conv: Codec) -> None:
    pixels = picture(64, 64, 3)
    data = conv.compress(pixels, target_bpp=1.5)
    assert stream_info(data).bits_per_pixel <= 1.5
    assert data == conv.compress(pixels, max_bytes=int(1.5 * 64 * 64 / 8))
    with pytest.raises(TargetNotReachedError, match=r"at most 0.01 bits per pixel \(5 bytes\) cannot be met"):
        conv.compress(pixels, target_bpp=0.01)


def test_a_limit_beyond_any_stream_is_none(conv: Codec) -> None:
    pixels = picture(16, 16, 3)
    best = conv.compress(pixels, 100)
    for options in ({"target_bpp": 1e308}, {"target_bpp": 10**5000}, {"max_bytes": 10**5000}):
        assert conv.compress(pixels, **options) == best
    with pytest.raises(TargetNotReachedError, match=r"a PSNR of 1.79769e\+308 dB cannot be met"):
        conv.compress(pixels, target_psnr=10**400)


def test_numbers_of_numpy_are_targets() -> None:
    target = choose_rate(400_000, target_bpp=np.float16(2))  # type: ignore[arg-type]
    assert isinstance(target, MaxBytes)
    assert target.limit == 100_000
    assert choose_rate(1) == 50


def test_psnr_is_reached_by_the_lowest_quality(codec: Codec) -> None:
    pixels = picture(33, 50, channels_of(codec))
    best = psnr(pixels, codec.decompress(codec.compress(pixels, 100, stored_tiles=False)))
    for wanted in (20.0, 26.0, best - 0.3):
        data = codec.compress(pixels, target_psnr=wanted, stored_tiles=False)
        assert psnr(pixels, codec.decompress(data)) >= wanted
        quality = stream_info(data).quality
        assert (
            quality == 1
            or psnr(pixels, codec.decompress(codec.compress(pixels, quality - 1, stored_tiles=False))) < wanted
        )
    with pytest.raises(
        TargetNotReachedError, match=r"a PSNR of 90 dB cannot be met; the best possible .* \d\d\.\d\d dB"
    ):
        codec.compress(pixels, target_psnr=90, stored_tiles=False)


def test_psnr_of_a_gray_picture_is_that_of_its_gray(conv: Codec) -> None:
    pixels = picture(40, 40, 1)
    with pytest.warns(AeedgeWarning, match="gray"):
        data = conv.compress(pixels, target_psnr=24)
    assert stream_info(data).gray
    assert psnr(pixels, conv.decompress(data)) >= 24


def test_alpha_counts_in_bytes_and_not_in_psnr(conv: Codec) -> None:
    pixels = np.concatenate([picture(40, 40, 3), picture(40, 40, 1, seed=2)], axis=2)
    limit = len(conv.compress(pixels, 40))
    assert len(conv.compress(pixels, max_bytes=limit)) <= limit
    restored = conv.decompress(conv.compress(pixels, target_psnr=24))
    assert psnr(pixels[..., :3], restored[..., :3]) >= 24


def test_a_batch_has_one_limit(codec: Codec) -> None:
    images = np.stack([picture(16, 24, channels_of(codec), seed) for seed in range(4)])
    limit = len(codec.compress_batch(images, 30, stored_tiles=False)) + 5
    assert len(codec.compress_batch(images, max_bytes=limit, stored_tiles=False)) <= limit
    assert psnr(images, codec.decompress_batch(codec.compress_batch(images, target_psnr=22, stored_tiles=False))) >= 22
    with pytest.raises(TargetNotReachedError, match="4 images of 24x16: at most 10 bytes"):
        codec.compress_batch(images, max_bytes=10, stored_tiles=False)


def test_the_network_runs_once(conv: Codec, monkeypatch) -> None:
    runs = []
    encode = conv._networks.encode
    monkeypatch.setattr(conv._networks, "encode", lambda pixels: runs.append(1) or encode(pixels))
    conv.compress(picture(32, 32, 3), max_bytes=300)
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quality": 50, "max_bytes": 100},
            "quality and max_bytes cannot be combined",
        ),
        ({"target_bpp": 1, "target_psnr": 30}, "target_bpp and target_psnr cannot"),
        ({"max_bytes": 0}, "max_bytes: found 0, expected an integer of at least 1"),
        ({"max_bytes": 10.5}, "max_bytes: found 10.5"),
        ({"max_bytes": True}, "max_bytes: found True"),
        ({"target_bpp": -1.0}, "target_bpp: found -1.0, expected a number above 0"),
        ({"target_bpp": float("nan")}, "target_bpp: found nan"),
        ({"target_psnr": float("inf")}, "target_psnr: found inf"),
        ({"target_psnr": "30"}, "target_psnr: found '30'"),
        ({"target_psnr": np.complex64(30)}, "target_psnr: found"),
    ],
)
def test_wrong_targets_are_refused(conv: Codec, options, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        conv.compress(picture(8, 8, 3), **options)


def test_a_psnr_needs_the_decoder(tmp_path) -> None:
    encoder = Codec.load(half_of("tiny-conv", "encoder", tmp_path / "half"), threads=1)
    assert len(encoder.compress(picture(16, 16, 3), max_bytes=400)) <= 400
    with pytest.raises(MissingHalfError, match="PSNR"):
        encoder.compress(picture(16, 16, 3), target_psnr=20)


def test_sizes_that_dip_at_the_low_end_are_found() -> None:
    sizes = {1: 30, 2: 31, 3: 27, 4: 29, **{quality: 40 + quality for quality in range(5, 101)}}
    found = find_stream(MaxBytes(28, "at most 28 bytes"), lambda quality: bytes(sizes[quality]), lambda _: 0.0, "x")
    assert len(found) == 27


def test_psnr_that_falls_at_the_high_end_is_still_found() -> None:
    values = {quality: 20 + quality / 10 for quality in range(1, 101)} | {100: 29.6}
    found = find_stream(
        MinPsnr(29.85, "a PSNR of 29.85 dB"), lambda quality: bytes(quality), lambda data: values[len(data)], "x"
    )
    assert len(found) == 99


def test_steps_back_in_the_middle_are_found() -> None:
    """Bisection ends at the first crossing that it meets; the one asked for may lie beyond a step back."""
    sizes = [10 * quality for quality in range(101)]
    sizes[61:64] = [606, 606, 599]
    limit = MaxBytes(600, "at most 600 bytes")
    assert len(find_stream(limit, lambda quality: bytes(sizes[quality]), lambda _: 0.0, "image")) == 599
    decibels = [0.5 * quality for quality in range(101)]
    decibels[57:60] = [30.05, 29.85, 29.9]
    asked: list[int] = []

    def code(quality: int) -> bytes:
        asked.append(quality)
        return bytes([quality])

    good = MinPsnr(30.0, "a PSNR of 30 dB")
    assert find_stream(good, code, lambda data: decibels[data[0]], "image") == bytes([57])
    assert 56 in asked
    assert 55 not in asked  # it is far off, and so is all below
