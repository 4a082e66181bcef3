import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms
from tiny import BUNDLES, picture

from aeedge_runtime import AeedgeWarning, Codec, ModelNotFoundError, Picture
from aeedge_runtime.bundle.lookup import VARIABLE
from aeedge_runtime.images.tiff import EXIF_PREFIX
from aeedge_runtime.pillow import register

register(threads=1)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CONV = str(BUNDLES / "tiny-conv")


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


@pytest.fixture(scope="module")
def codec():
    return Codec.load(CONV, threads=1)


def stream_of(image, **options):
    file = io.BytesIO()
    image.save(file, "AEE", bundle=CONV, **options)
    return file.getvalue()


def test_a_saved_image_opens_as_the_codec_decodes_it(codec, tmp_path):
    image = Image.fromarray(picture(40, 56, 3))
    image.save(tmp_path / "x.aee", bundle=CONV, quality=70)
    assert (tmp_path / "x.aee").read_bytes() == codec.compress(np.asarray(image), 70)
    with Image.open(tmp_path / "x.aee") as found:
        assert (found.format, found.size, found.mode) == ("AEE", (56, 40), "RGB")
        assert found.info["quality"] == 70
        assert found.info["stream_id"] == codec.bundle.manifest.stream_id
        assert found.get_format_mimetype() == "image/x-aeedge"
        assert np.array_equal(np.asarray(found), codec.decompress(tmp_path / "x.aee"))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.filterwarnings("ignore:.*gray:aeedge_runtime.AeedgeWarning")
def test_every_mode_comes_back_exactly_within_a_bound_of_0(mode):
    pixels = picture(21, 33, {"L": 1, "LA": 2}.get(mode, len(mode)))
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode=None)
    for options in ({"max_error": 0}, {"lossless": True}):
        found = Image.open(io.BytesIO(stream_of(image, **options)))
        assert (found.mode, found.info["max_error"]) == (mode, 0)
        assert found.tobytes() == image.tobytes()


def test_opening_needs_neither_bundle_nor_the_whole_file(monkeypatch):
    data = stream_of(Image.fromarray(picture(40, 56, 3)), stored_tiles=False)
    monkeypatch.delenv(VARIABLE)
    register(threads=1)  # forgets the codecs that are loaded
    found = Image.open(io.BytesIO(data[: len(data) // 2]))
    assert found.size == (56, 40)
    with pytest.raises(ModelNotFoundError, match=found.info["stream_id"]):
        found.load()


@pytest.mark.parametrize("options", [{"stored_tiles": False}, {"max_error": 0}, {"max_error": 9}])
def test_opening_reads_the_header_and_little_more(options):
    class Counted(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 4)).astype(np.uint8))
    file = Counted(stream_of(image, icc_profile=PROFILE, **options))
    assert len(file.getvalue()) > 50_000
    found = Image.open(file)
    assert found.mode == "RGBA"
    assert found.info["icc_profile"] == PROFILE
    assert file.count < 4096 + len(PROFILE) + 200
    assert found.info.get("max_error") == options.get("max_error")
    found.verify()
    assert file.count > len(file.getvalue())


def test_profile_and_exif_are_kept_replaced_or_dropped():
    image = Image.fromarray(picture(24, 24, 3))
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    found = Image.open(io.BytesIO(stream_of(image, icc_profile=PROFILE, exif=exif)))
    assert found.info["icc_profile"] == PROFILE
    assert found.getexif()[0x010F] == "a maker"
    again = Image.open(io.BytesIO(stream_of(found)))
    assert again.info["icc_profile"] == PROFILE
    assert again.info["exif"].startswith(EXIF_PREFIX)
    bare = Image.open(io.BytesIO(stream_of(found, icc_profile=None, exif=None)))
    assert not bare.info.keys() & {"icc_profile", "exif"}


def test_images_of_a_packed_stream_are_frames(codec):
    pictures = [picture(24, 32, 3, seed) for seed in range(3)]
    first, *others = map(Image.fromarray, pictures)
    data = stream_of(first, save_all=True, append_images=others, quality=80)
    assert data == codec.compress_batch([Picture(pixels) for pixels in pictures], 80)
    found = Image.open(io.BytesIO(data))
    assert (found.n_frames, found.is_animated, found.tell()) == (3, True, 0)
    decoded = codec.decompress_batch(data)
    for number in (2, 0, 1):
        found.seek(number)
        assert found.tell() == number
        assert np.array_equal(np.asarray(found), decoded[number])
    with pytest.raises(EOFError):
        found.seek(3)


def test_damage_is_an_os_error_and_other_files_are_not_taken():
    data = stream_of(Image.fromarray(picture(40, 56, 3)), stored_tiles=False)
    cut, changed = data[:-20], data[:-20] + bytes(12) + data[-8:]
    for damaged in (cut, changed):
        with pytest.raises(OSError, match="damaged"):
            Image.open(io.BytesIO(damaged)).load()
        with pytest.raises(OSError, match="damaged"):
            Image.open(io.BytesIO(damaged)).verify()
    Image.open(io.BytesIO(data)).verify()
    for length in (3, 5, 12):
        with pytest.raises(Image.UnidentifiedImageError):
            Image.open(io.BytesIO(data[:length]))


def test_a_bomb_is_refused_as_in_other_formats(monkeypatch):
    data = stream_of(Image.fromarray(picture(40, 56, 3)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Image.open(io.BytesIO(data)).load() is not None


def test_importing_the_automatic_module_registers():
    code = (
        "import sys; from PIL import Image; import aeedge_runtime.pillow; Image.init(); "
        "print('AEE' in Image.OPEN, 'onnxruntime' in sys.modules); import aeedge_runtime.pillow.auto; "
        "print('AEE' in Image.OPEN, Image.registered_extensions()['.aee'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "AEE"]


def test_imageio_reads_and_writes_streams(tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    pixels = picture(24, 40, 3)
    imageio.imwrite(tmp_path / "a.aee", pixels, plugin="pillow", bundle=CONV, max_error=0)
    assert np.array_equal(imageio.imread(tmp_path / "a.aee", plugin="pillow"), pixels)


def test_image_folders_of_torchvision_hold_streams(tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(picture(24, 40, 3)).save(tmp_path / name / "a.aee", bundle=CONV, max_error=0)
    images = datasets.ImageFolder(str(tmp_path), is_valid_file=lambda path: path.endswith(".aee"))
    assert [label for _, label in images] == [0, 1]
    assert np.array_equal(np.asarray(images[1][0]), picture(24, 40, 3))


def test_hugging_face_datasets_decode_streams(tmp_path):
    datasets = pytest.importorskip("datasets")
    Image.fromarray(picture(24, 40, 3)).save(tmp_path / "a.aee", bundle=CONV, max_error=0)
    rows = datasets.Dataset.from_dict({"image": [str(tmp_path / "a.aee")]}).cast_column("image", datasets.Image())
    assert np.array_equal(np.asarray(rows[0]["image"]), picture(24, 40, 3))


def test_conversions_warn_as_in_the_codec():
    with pytest.warns(AeedgeWarning):
        stream_of(Image.new("I;16", (24, 24), 257))


def test_a_thumbnail_decodes_the_preview(codec):
    image = Image.fromarray(picture(330, 405, 3))
    data = stream_of(image, quality=90)
    small = Image.open(io.BytesIO(data))
    small.thumbnail((40, 40))
    assert small.size == (40, 33)
    with Image.open(io.BytesIO(data)) as drafted:
        mode, box = drafted.draft(None, (40, 40))
        assert (mode, box, drafted.size) == ("RGB", (0, 0, 405 / 8, 330 / 8), (51, 42))
        assert np.array_equal(np.asarray(drafted), codec.preview(data))


def test_a_draft_larger_than_the_preview_changes_nothing():
    with Image.open(io.BytesIO(stream_of(Image.fromarray(picture(80, 80, 3))))) as found:
        assert found.draft(None, (11, 10)) is None
        assert np.asarray(found).shape == (80, 80, 3)
        assert found.draft(None, (5, 5)) is None  # the pixels are there already
