import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tiny import picture

from aeedge_runtime import (
    AeedgeWarning,
    ArgumentError,
    ImageError,
    LimitError,
    Picture,
    load_picture,
    load_pictures,
    save_picture,
)
from aeedge_runtime.images.picture import to_gray
from aeedge_runtime.images.save import finished, image_bytes, picture_bytes

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, ARTIST = 0x0112, 0x013B


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_block(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[ARTIST] = "somebody"
    return exif


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_cleared(kind: str, orientation: int, tmp_path) -> None:
    upright = picture(6, 9, 3)
    turns: dict[int, Any] = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse transposition of each
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(turns[orientation]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encoded(stored, kind, exif=exif_block(orientation), **options)
    found = load_picture(data)
    np.testing.assert_array_equal(found.pixels, upright)
    assert found.notes == ()
    if kind == "TIFF":
        return
    save_picture(found, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as again:
        assert again.getexif().get(ORIENTATION, 1) == 1
        assert again.getexif()[ARTIST] == "somebody"
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png").pixels, upright)


def test_jpeg_orientation() -> None:
    data = encoded(Image.fromarray(picture(16, 24, 3)), "JPEG", exif=exif_block(6), icc_profile=SRGB)
    found = load_picture(data)
    assert found.pixels.shape == (24, 16, 3)
    assert found.icc == SRGB
    assert found.exif is not None
    assert found.exif[:2] in (b"II", b"MM")


def test_an_impossible_orientation_is_upright() -> None:
    data = encoded(Image.fromarray(picture(6, 9, 3)), exif=exif_block(77))
    assert load_picture(data).pixels.shape == (6, 9, 3)


def test_damaged_exif_is_dropped_with_a_note() -> None:
    data = encoded(Image.fromarray(picture(6, 9, 3)), exif=b"Exif\x00\x00ZZ no tiff here")
    found = load_picture(data)
    np.testing.assert_array_equal(found.pixels, picture(6, 9, 3))
    assert found.exif is None
    assert any("EXIF" in note for note in found.notes)


MODES = [
    ("1", "L", "1-bit pixels were expanded"),
    ("P", "RGB", "palette was expanded to RGB"),
    ("CMYK", "RGB", "CMYK was converted to RGB"),
    ("YCbCr", "RGB", "YCbCr was converted to RGB"),
    ("LAB", "RGB", "LAB was converted to sRGB"),
    ("HSV", "RGB", "HSV was converted"),
    ("PA", "RGBA", "palette was expanded"),
    ("RGBa", "RGBA", "premultiplied alpha was undone"),
    ("RGBX", "RGB", "fourth channel was dropped"),
]


@pytest.mark.parametrize(("mode", "plain", "note"), MODES, ids=[mode for mode, _, _ in MODES])
def test_other_modes_are_converted_and_said(mode: str, plain: str, note: str) -> None:
    color = Image.fromarray(picture(12, 10, 3))
    image = Image.new(mode, (10, 12)) if mode in ("PA", "RGBa", "HSV", "LAB", "RGBX") else color.convert(mode)
    found = load_picture(image)
    assert found.pixels.shape == (12, 10, 1 if plain == "L" else 3)
    assert (found.alpha is not None) == plain.endswith("A")
    assert any(note in text for text in found.notes), found.notes


def test_plain_modes_come_as_they_are() -> None:
    for channels, mode in ((1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")):
        planes = picture(5, 4, channels)
        found = load_picture(encoded(Image.fromarray(planes[..., 0] if channels == 1 else planes)))
        assert found.notes == ()
        assert found.gray == (channels < 3)
        color = planes[..., :-1] if channels in (2, 4) else planes
        np.testing.assert_array_equal(found.pixels, color, err_msg=mode)
        if channels in (2, 4):
            np.testing.assert_array_equal(found.alpha, planes[..., -1])


def test_sixteen_bit_gray_is_scaled() -> None:
    values = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16)
    found = load_picture(encoded(Image.fromarray(values)))
    assert found.pixels[..., 0].tolist() == [[0, 1, 255], [0, 1, 128]]
    assert found.gray
    assert "16-bit gray was scaled" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "wanted", "note"),
    [
        (np.array([[0, 65535]], np.int32), [[0, 255]], "16-bit"),
        (np.array([[3, 200]], np.int32), [[3, 200]], "taken as 8-bit"),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[0, 128, 255]], "float gray within 0..1"),
    ],
)
def test_deep_gray_is_scaled_not_clipped(values: Any, wanted: list[list[int]], note: str) -> None:
    found = load_picture(encoded(Image.fromarray(values), "TIFF"))
    assert found.pixels[..., 0].tolist() == wanted
    assert note in found.notes[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[-500, 1500]], np.int32), ([[-2.0, 6.0]], np.float32), ([[7e9, 7e9]], np.float32)],
)
def test_gray_of_no_stated_range_is_refused_and_read_within_one(values: Any, kind: type) -> None:
    data = encoded(Image.fromarray(np.array(values, kind)), "TIFF")
    with pytest.raises(ImageError, match="--range LOW:HIGH"):
        load_picture(data)
    low, high = values[0][0] - 1.0, values[0][1] + 1.0
    found = load_picture(data, value_range=(low, high))
    wanted = [round((value - low) * 255 / (high - low)) for value in values[0]]
    assert found.pixels[..., 0].tolist() == [wanted]
    assert f"scaled from {low:g}..{high:g}" in found.notes[0]
    clipped = load_picture(data, value_range=(low - 9, values[0][0] - 0.5))
    assert clipped.pixels.max() == 255
    assert "clipped" in clipped.notes[0]


def test_gray_that_is_not_finite() -> None:
    data = encoded(Image.fromarray(np.array([[np.nan, 1]], np.float32)), "TIFF")
    with pytest.raises(ImageError, match="NaN"):
        load_picture(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = b"".join([chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + body


def test_sixteen_bit_color_says_so() -> None:
    samples = np.array([[0, 32768, 65535]], ">u2").tobytes()
    found = load_picture(png(1, 1, 16, 2, b"\0" + samples))
    assert found.pixels.tolist() == [[[0, 128, 255]]]
    assert found.notes == ("16-bit samples were reduced to 8 bits",)


def test_a_transparent_color_of_sixteen_bits_is_dropped_by_name() -> None:
    """Not taken for one of eight, which other pixels have, or none."""
    rows = b"\0" + np.array([[0, 32768, 65535], [7, 8, 9]], ">u2").tobytes()
    for key in ([0, 32768, 65535], [0, 128, 255]):
        found = load_picture(png(2, 1, 16, 2, rows, chunk(b"tRNS", np.array(key, ">u2").tobytes())))
        assert (found.pixels.tolist(), found.alpha) == ([[[0, 128, 255], [0, 0, 0]]], None)
        assert found.notes == ("the transparent color was dropped", "16-bit samples were reduced to 8 bits")


def test_a_transparent_level_of_sixteen_bits_becomes_alpha_where_it_matches_exactly() -> None:
    row = b"\0" + np.array([4112, 4113, 65535], ">u2").tobytes()
    found = load_picture(png(3, 1, 16, 0, row, chunk(b"tRNS", struct.pack(">H", 4112))))
    assert found.alpha is not None
    assert (found.pixels[..., 0].tolist(), found.alpha.tolist()) == ([[16, 16, 255]], [[0, 255, 255]])


def test_transparent_colors_become_alpha() -> None:
    rows = b"\0" + bytes([10, 20, 30, 1, 2, 3])
    found = load_picture(png(2, 1, 8, 2, rows, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))))
    assert found.alpha is not None
    assert found.alpha.tolist() == [[255, 0]]
    gray = load_picture(png(2, 1, 8, 0, b"\0\x05\x07", chunk(b"tRNS", struct.pack(">H", 7))))
    assert gray.alpha is not None
    assert gray.alpha.tolist() == [[255, 0]]
    assert gray.pixels.shape == (1, 2, 1)
    palette = Image.fromarray(picture(4, 4, 3)).quantize(4)
    clear = load_picture(encoded(palette, transparency=bytes([0, 100, 200, 255])))
    assert clear.alpha is not None
    assert set(np.unique(clear.alpha)) <= {0, 100, 200, 255}


def test_first_of_several_frames_with_a_note() -> None:
    frames = [Image.fromarray(picture(6, 5, 3, seed)) for seed in range(3)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    found = load_picture(data)
    assert found.notes == ("the first of several frames was taken",)
    np.testing.assert_array_equal(found.pixels, picture(6, 5, 3, 0))
    assert load_picture(encoded(frames[0], "TIFF")).notes == ()


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_all_frames(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = [Image.new("RGB", (5, 6), color) for color in ("red", "lime", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    found = list(load_pictures(data))
    assert [picture.pixels[0, 0].tolist() for picture in found] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert not any("frames" in note for picture in found for note in picture.notes)
    assert [picture.pixels.shape for picture in load_pictures(data, 1, max_pixels=90)] == [(6, 5, 1)] * 3
    with pytest.raises(LimitError, match=r"3 frames have 90 pixels, the limit is 89; raise max_pixels"):
        next(load_pictures(data, max_pixels=89))
    assert len(list(load_pictures(encoded(frames[0], kind, **options)))) == 1


def test_pages_of_several_sizes_have_one_limit_together() -> None:
    pages = [Image.new("L", (side, side)) for side in (2, 30, 30)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert [page.pixels.shape[0] for page in load_pictures(data)] == [2, 30, 30]
    assert len(list(load_pictures(data, max_pixels=1804))) == 3
    with pytest.raises(LimitError, match="3 frames have 1804 pixels, the limit is 1803"):
        next(load_pictures(data, max_pixels=1803))


def test_pages_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeedge_runtime.images.frame_limits.MOST_FRAMES", 2)
    pages = [Image.new("L", (2, 2))] * 3
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(LimitError, match="more than 2 frames, which is the limit; split the file"):
        next(load_pictures(data))
    assert len(list(load_pictures(encoded(pages[0], "TIFF", save_all=True, append_images=pages[:1])))) == 2


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_a_pil_image_is_the_frame_it_is_at_with_its_edits(kind: str) -> None:
    """Counting frames makes Pillow decode the current one anew: what was painted on it would be gone."""
    frames = [Image.new("L", (5, 6), value) for value in (0, 90)]
    image = Image.open(BytesIO(encoded(frames[0], kind, save_all=True, append_images=frames[1:])))
    image.seek(1)
    image.load()
    image.paste(7, (0, 0, 2, 2))
    before = np.asarray(image)
    found = load_picture(image)
    assert not any("frame" in note for note in found.notes)
    np.testing.assert_array_equal(np.asarray(image), before)


def test_what_tiff_tags_tell_of_a_photo_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298] = "Maker", 6, "Owner"
    exif[0x8769] = {0x9003: "2026:11:27 10:00:00"}
    exif[0x8825] = {1: "N"}
    image = Image.new("RGB", (5, 6))
    found = load_picture(encoded(image, "TIFF", exif=exif.tobytes()))
    assert (found.pixels.shape, found.notes) == ((5, 6, 3), ())  # turned
    kept = Image.Exif()
    kept.load(found.exif)
    assert dict(kept.get_ifd(0x8769)) == exif[0x8769]
    assert dict(kept.get_ifd(0x8825)) == exif[0x8825]
    assert {tag: kept[tag] for tag in kept if tag < 0x8700} == {0x010F: "Maker", 0x8298: "Owner"}
    assert load_picture(encoded(image, "TIFF")).exif is None


def tiff_of_gray(values: np.ndarray, bits: int, *, white_is_zero: bool = False, kind: int = 1) -> bytes:
    """A TIFF file of one row of gray, its samples as they are in `values`."""
    data = values.tobytes()
    tags = {256: len(values) if bits != 12 else 2, 257: 1, 258: bits, 259: 1, 262: int(not white_is_zero)}
    tags |= {273: 8, 277: 1, 278: 1, 279: len(data), 339: kind}
    start = 8 + len(data) + len(data) % 2
    lines = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    header = b"II*\0" + struct.pack("<I", start)
    return header + data.ljust(start - 8, b"\0") + struct.pack("<H", len(tags)) + lines + bytes(4)


def test_deep_gray_of_tiff_files_is_scaled_by_what_their_tags_say() -> None:
    twelve = load_picture(tiff_of_gray(np.array([0xFF, 0xF0, 0x00], np.uint8), 12))
    assert (twelve.pixels.ravel().tolist(), twelve.notes) == ([255, 0], ("12-bit gray was scaled to 8 bits",))
    ramp = np.array([0, 257 * 100, 65535], "<u2")
    assert load_picture(tiff_of_gray(ramp, 16)).pixels.ravel().tolist() == [0, 100, 255]
    assert load_picture(tiff_of_gray(ramp, 16, white_is_zero=True)).pixels.ravel().tolist() == [255, 155, 0]
    floats = np.array([0.0, 0.2, 1.0], "<f4")
    assert load_picture(tiff_of_gray(floats, 32, kind=3, white_is_zero=True)).pixels.ravel().tolist() == [255, 204, 0]
    wide = np.array([2**32 - 1, 2**31, 0], "<u4")
    found = load_picture(tiff_of_gray(wide, 32), value_range=(0, 2**32 - 1))
    assert found.pixels.ravel().tolist() == [255, 128, 0]
    signed = np.array([-100, 0, 155], "<i4")
    found = load_picture(tiff_of_gray(signed, 32, kind=2), value_range=(-100, 155))
    assert found.pixels.ravel().tolist() == [0, 100, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_level_of_gray_is_that_of_the_samples(bits: int) -> None:
    """Pillow scales the samples of 2 and 4 bits, but not the level that is transparent."""
    highest = 2**bits - 1
    row = bytes([highest << (8 - bits)]) if bits < 8 else bytes([highest, 0])
    found = load_picture(png(2, 1, bits, 0, b"\0" + row, chunk(b"tRNS", struct.pack(">H", highest))))
    assert found.pixels.ravel().tolist() == [255, 0]
    assert found.alpha is not None
    assert found.alpha.tolist() == [[0, 255]]


def test_a_gamma_that_is_not_that_of_srgb_is_said_to_be_dropped() -> None:
    row = b"\0\x80\x80"
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    assert load_picture(png(2, 1, 8, 0, row, linear)).notes == ("gamma 1 was dropped: samples are taken as sRGB",)
    assert load_picture(png(2, 1, 8, 0, row, chunk(b"gAMA", struct.pack(">I", 45_455)))).notes == ()


def test_sixteen_bits_of_color_of_a_ppm_are_said_to_be_reduced() -> None:
    found = load_picture(b"P6\n1 1\n65535\n" + struct.pack(">3H", 0, 257 * 100, 65535))
    assert (found.pixels.ravel().tolist(), found.notes) == ([0, 100, 255], ("16-bit samples were reduced to 8 bits",))
    assert load_picture(b"P6\n1 1\n15\n\0\1\x0f").notes == ()


def test_profiles_of_another_color_space_are_dropped() -> None:
    gray = load_picture(encoded(Image.fromarray(picture(4, 4, 1)[..., 0]), icc_profile=SRGB))
    assert gray.icc is None
    assert "another color space" in gray.notes[0]
    color = load_picture(encoded(Image.fromarray(picture(4, 4, 3)), icc_profile=SRGB))
    assert (color.icc, color.notes) == (SRGB, ())
    assert load_picture(color, 1).icc is None


def test_gray_model_and_color_image_and_the_reverse() -> None:
    color = load_picture(picture(4, 5, 3), 1)
    assert color.pixels.shape == (4, 5, 1)
    assert "reduced to gray" in color.notes[0]
    gray = load_picture(picture(4, 5, 1), 3)
    assert gray.pixels.shape == (4, 5, 3)
    assert gray.gray
    assert "coded as RGB" in gray.notes[0]
    expected = np.asarray(Image.fromarray(picture(30, 40, 3)).convert("L"))
    np.testing.assert_array_equal(to_gray(picture(30, 40, 3))[..., 0], expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_and_damaged_files(kind: str) -> None:
    data = encoded(Image.fromarray(picture(40, 40, 3)), kind)
    for length in (0, 1, 10, len(data) // 2):
        with pytest.raises(ImageError) as caught:
            load_picture(data[:length])
        assert "\n" not in str(caught.value)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[generator.integers(len(data))] ^= 1 << generator.integers(8)
        try:
            load_picture(bytes(damaged))
        except (ImageError, LimitError):
            continue
        except RuntimeWarning as warning:  # warnings are errors here; Pillow found something odd and went on
            assert "PIL" in type(warning).__module__  # noqa: PT017


def test_a_truncated_image_that_the_caller_opened() -> None:
    data = encoded(Image.fromarray(picture(40, 40, 3)), "PNG")
    with Image.open(BytesIO(data[: len(data) // 2])) as image, pytest.raises(ImageError, match="damaged or cut short"):
        load_picture(image)


def test_images_without_pixels() -> None:
    for size in ((0, 5), (5, 0)):
        with pytest.raises(ImageError, match="expected at least one pixel"):
            load_picture(Image.new("RGB", size))


def test_things_that_are_no_images(tmp_path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    (tmp_path / "d.png").mkdir()
    for name, message in (("a.png", "not an image"), ("d.png", "a folder, not"), ("missing.png", "cannot be read")):
        with pytest.raises(ImageError, match=message):
            load_picture(tmp_path / name)
    with pytest.raises(ImageError):
        load_picture("a\0b.png")
    with pytest.raises(ImageError, match="not a regular file"):
        load_picture("/dev/null")


def test_files_of_a_few_bytes(tmp_path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"x\.png: the file is empty"):
        load_picture(tmp_path / "x.png")
    for data in (b"I", b"\x89PN"):
        with pytest.raises(ImageError, match="not an image of a known kind"):
            load_picture(data)


def test_a_kind_that_starts_another_program_is_refused(tmp_path, monkeypatch) -> None:
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(eps)
    for source in (eps, tmp_path / "a.png"):
        with pytest.raises(ImageError, match="not an image of a known kind"):
            load_picture(source)


def test_icons_are_not_read() -> None:
    """Pillow decodes what is inside one, of any size, as soon as it is opened."""
    with pytest.raises(ImageError, match="not an image of a known kind"):
        load_picture(encoded(Image.new("RGB", (16, 16)), "ICO"))


def test_max_pixels_may_be_raised_above_the_limit_of_pillow(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # an error from 200 pixels on, a warning from 100
    for kind in ("PNG", "JPEG", "BMP"):
        assert load_picture(encoded(Image.fromarray(picture(40, 40, 3)), kind)).pixels.shape == (40, 40, 3)
    with pytest.raises(LimitError):
        load_picture(encoded(Image.fromarray(picture(40, 40, 3))), max_pixels=1000)
    with pytest.raises(LimitError, match="pass the pixels as an array"):
        load_picture(encoded(Image.fromarray(picture(40, 40, 3)), "TIFF"))  # its plugin has a limit of its own


def test_bombs_are_refused_before_decoding() -> None:
    bomb = png(60_000, 60_000, 8, 2, b"")
    with pytest.raises(LimitError):
        load_picture(bomb)
    with pytest.raises(LimitError, match="is 1600 pixels, the limit is 1599"):
        load_picture(encoded(Image.fromarray(picture(40, 40, 3))), max_pixels=1599)
    with pytest.raises(LimitError, match="a side is longer"):
        load_picture(np.zeros((70_000, 1), np.uint8))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4), np.float32), "float32, expected uint8"),
        (np.zeros((4, 4), bool), "bool, expected uint8"),
        (np.zeros((4, 4, 5), np.uint8), "C from 1 to 4"),
        (np.zeros(4, np.uint8), "expected .H, W"),
        (np.zeros((1, 4, 4, 3), np.uint8), "expected .H, W"),
        (np.zeros((0, 4), np.uint8), "at least one pixel"),
        (None, "found NoneType"),
        ([[1, 2]], "found list"),
    ],
)
def test_other_types_are_argument_errors(source: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        load_picture(source)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_files_come_back(suffix: str, channels: int, with_alpha: bool, tmp_path) -> None:
    alpha = picture(9, 7, 1, seed=5)[..., 0] if with_alpha else None
    saved = Picture(picture(9, 7, channels), alpha, icc=SRGB if channels == 3 else None, exif=b"MM\0*\0\0\0\x08\0\0")
    save_picture(saved, tmp_path / f"a{suffix}")
    found = load_picture(tmp_path / f"a{suffix}", channels if suffix.lower() == ".png" else None)
    np.testing.assert_array_equal(found.pixels[..., :1], saved.pixels[..., :1])
    assert found.icc == saved.icc
    if alpha is not None:
        np.testing.assert_array_equal(found.alpha, alpha)


def test_jpeg_drops_alpha_and_says_so(tmp_path) -> None:
    saved = Picture(picture(9, 7, 3), alpha=np.zeros((9, 7), np.uint8), icc=SRGB)
    with pytest.warns(AeedgeWarning, match="alpha plane was dropped"):
        save_picture(saved, tmp_path / "a.jpg")
    found = load_picture(tmp_path / "a.jpg")
    assert found.icc == SRGB
    assert np.abs(found.pixels.astype(int) - saved.pixels).mean() < 3


def test_files_that_cannot_be_written(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"expected \.png"):
        save_picture(Picture(picture(4, 4, 3)), tmp_path / "a.gif")
    with pytest.raises(ImageError, match=r"use \.png"):
        picture_bytes(Picture(np.zeros((1, 20_000, 3), np.uint8)), ".webp")
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        save_picture(Picture(picture(4, 4, 3)), tmp_path / "a.png")
    save_picture(Picture(picture(4, 4, 3)), tmp_path / "a.png", overwrite=True)
    assert list(Path(tmp_path).iterdir()) == [tmp_path / "a.png"]


def test_gray_sources_are_written_as_gray() -> None:
    data, _ = picture_bytes(load_picture(picture(4, 4, 1), 3), ".png")
    assert Image.open(BytesIO(data)).mode == "L"


def test_a_large_jpeg_is_written_without_the_memory_that_better_tables_take(monkeypatch) -> None:
    saved = Picture(picture(40, 60, 3))
    small = picture_bytes(saved, ".jpg")[0]
    monkeypatch.setattr("aeedge_runtime.images.save._MAX_OPTIMIZED", 40 * 60 - 1)
    large = picture_bytes(saved, ".jpg")[0]
    assert len(small) < len(large)
    assert np.array_equal(np.asarray(Image.open(BytesIO(small))), np.asarray(Image.open(BytesIO(large))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_of_the_caller_is_left_as_it_is(kind: str) -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker"
    buffer = BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, kind, exif=exif)
    image = Image.open(buffer)
    found = [load_picture(image) for _ in range(3)]
    assert [picture.pixels.shape for picture in found] == [(30, 20, 3)] * 3
    assert found[0].exif == found[2].exif
    assert image.getexif()[0x112] == 6
    again = Image.open(BytesIO(image_bytes(finished(image, None, None, found[0].exif), ".png")[0]))
    assert again.getexif()[0x112] == 1


def test_a_profile_that_no_png_can_be_opened_with_is_dropped() -> None:
    image = finished(Image.new("RGB", (3, 2)), None, bytes((1 << 20) + 1), None)
    data, notes = image_bytes(image, ".png")
    assert "ICC profile of 1048577 bytes was dropped" in notes[0]
    assert Image.open(BytesIO(data)).size == (3, 2)
    assert image_bytes(image, ".jpg")[1] == ()


@pytest.mark.parametrize("brightest", [255, 256, 65535])
def test_deep_gray_of_a_pgm_is_scaled_by_its_depth_whatever_it_holds(brightest: int) -> None:
    data = b"P5\n3 1\n65535\n" + struct.pack(">3H", 0, 100, brightest)
    found = load_picture(data)
    assert found.pixels.ravel().tolist() == [0, 0, round(brightest / 257)]
    assert found.notes == ("16-bit gray was scaled to 8 bits",)


def test_bytes_with_gaps() -> None:
    gaps = np.repeat(np.frombuffer(encoded(Image.new("RGB", (4, 3))), np.uint8), 2)
    assert load_picture(memoryview(gaps)[::2]).pixels.shape == (3, 4, 3)


@pytest.mark.parametrize(
    ("name", "value"), [("pixels", [[1]]), ("alpha", [[1]]), ("icc", "text"), ("exif", bytearray(3)), ("icc", 3)]
)
def test_fields_of_a_picture_of_another_type(name: str, value: Any) -> None:
    facts = {"pixels": np.zeros((3, 4, 3), np.uint8), name: value}
    with pytest.raises(ArgumentError, match=f"Picture: {name} is {type(value).__name__}"):
        load_picture(Picture(**facts))


class PluginImage(Image.Image):
    """What a plugin of another package opens a file as."""


PluginImage.__module__ = "some_plugin.image"


def test_images_of_a_plugin_are_pil_images() -> None:
    image = PluginImage()
    image.im, image._mode, image._size = Image.new("RGB", (3, 2), "red").im, "RGB", (3, 2)
    assert load_picture(image).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("channels", [0, 2, 4, "3"])
def test_other_channels_than_a_model_can_take_are_refused(channels: Any) -> None:
    for source in (encoded(Image.new("RGB", (4, 3))), np.zeros((3, 4), np.uint8)):
        with pytest.raises(ArgumentError, match=r"channels: found .*, expected 1 or 3"):
            load_picture(source, channels)


def test_arguments_of_another_type_are_refused(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (4, 3)))
    with pytest.raises(ArgumentError, match="max_pixels: found None"):
        load_picture(data, max_pixels=None)  # type: ignore[arg-type]
    for source in (None, np.zeros((3, 4), np.uint8), Image.new("L", (2, 2))):
        with pytest.raises(ArgumentError, match="frames: found"):
            next(load_pictures(source))  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="picture: found"):
            save_picture(source, tmp_path / "a.png")  # type: ignore[arg-type]
    pixels = np.zeros((3, 4, 3), np.uint8)
    wrong = Picture(pixels.astype(float)), Picture(pixels, alpha=np.zeros((9, 9), np.uint8))  # type: ignore[arg-type]
    for made in wrong:
        with pytest.raises(ArgumentError):
            save_picture(made, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_deep_gray_takes_little_memory_beside_itself() -> None:
    data = encoded(Image.fromarray(np.zeros((3000, 3000), np.uint16)))
    load_picture(data)
    tracemalloc.start()
    assert load_picture(data).pixels.shape == (3000, 3000, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 3000 * 3000  # 28 bytes a pixel where all of it is made float64 at once
