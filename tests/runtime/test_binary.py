import contextlib
import io
import mmap
import os
import zipfile

import numpy as np
import pytest
from PIL import Image
from tiny import BUNDLES, files_of, picture, zip_of

from aeedge_runtime import (
    ArgumentError,
    Bundle,
    Codec,
    ImageError,
    StreamError,
    load_picture,
    load_pictures,
    stream_info,
)
from aeedge_runtime.binary import read_source


class BytesPath:
    """A path whose text is bytes, as `os.fsencode` gives them."""

    def __init__(self, path):
        self._path = os.fsencode(path)

    def __fspath__(self):
        return self._path


class Trickle(io.RawIOBase):
    """A file that returns fewer bytes than it is asked for, as a socket does."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, size=-1):
        return self._file.read(min(size, 7) if size >= 0 else -1)


@pytest.fixture
def forms(tmp_path):
    """A function that returns every way to pass the bytes of a file."""
    with contextlib.ExitStack() as stack:
        yield lambda data: all_forms(data, tmp_path, stack)


def all_forms(data, folder, stack):
    path = folder / "data.bin"
    path.write_bytes(data)
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        archive.writestr("data.bin", data)
    archive = stack.enter_context(zipfile.ZipFile(folder / "data.zip"))
    file = stack.enter_context(path.open("rb"))
    mapped = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return {
        "text": str(path),
        "path": path,
        "bytes path": BytesPath(path),
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "strided": memoryview(bytes(value for byte in data for value in (byte, 0)))[::2],
        "mmap": mapped,
        "array": np.frombuffer(data, np.uint8),
        "BytesIO": io.BytesIO(data),
        "file": file,
        "slow file": Trickle(data),
        "zip member": stack.enter_context(archive.open("data.bin")),
        "zip path": zipfile.Path(archive, "data.bin"),
    }


@pytest.fixture(scope="module")
def codec():
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


def test_streams_are_read_from_every_form(codec, forms):
    data = codec.compress(picture(24, 40, 3))
    pixels = codec.decompress(data)
    for name, form in forms(data).items():
        assert np.array_equal(codec.decompress(form), pixels), name
    for name, form in forms(data).items():
        assert stream_info(form).total_bytes == len(data), name


def test_images_are_read_from_every_form(codec, forms):
    file = io.BytesIO()
    Image.fromarray(picture(24, 40, 3)).save(file, "PNG")
    data = codec.compress(picture(24, 40, 3))
    for name, form in forms(file.getvalue()).items():
        if name != "array":  # an array of an image holds its pixels
            assert codec.compress(form) == data, name
    for name, form in forms(file.getvalue()).items():
        if name != "array":
            assert len(list(load_pictures(form))) == 1, name


def test_bundles_are_read_from_every_form(forms):
    data = zip_of(files_of(BUNDLES / "tiny-dense"))
    known = Bundle.load(data).hash
    for name, form in forms(data).items():
        assert Bundle.load(form).hash == known, name


@pytest.mark.parametrize("bad", [7, 1.5, object(), ["a.aee"]])
def test_other_types_are_refused(codec, bad):
    for call in (codec.decompress, stream_info, codec.compress, load_picture, Codec.load):
        with pytest.raises(ArgumentError):
            call(bad)


def test_text_files_are_refused(codec):
    with pytest.raises(ArgumentError, match="binary mode"):
        codec.decompress(io.StringIO("text"))


def test_closed_and_missing_files_are_input_errors(codec, tmp_path):
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(StreamError):
        codec.decompress(closed)
    with pytest.raises(ImageError):
        codec.compress(closed)
    with pytest.raises(StreamError):
        codec.decompress(BytesPath(tmp_path / "missing.aee"))


def test_no_more_than_the_limit_is_read():
    file = io.BytesIO(bytes(1000))
    assert len(read_source(file, 10, "stream")) == 11
    assert file.tell() == 11
    assert len(read_source(memoryview(bytes(1000)), 10, "stream")) == 11


class Tensor:
    """An array of another library."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


class Shared:
    """An array that shares its memory by DLPack alone."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class OnDevice:
    """An array that the CPU cannot read, as a tensor on a GPU."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert device tensor")


@pytest.mark.parametrize("wrap", [Tensor, Shared])
def test_arrays_of_other_libraries_are_images_and_batches(codec, wrap):
    pixels = np.stack([picture(24, 40, 3), picture(24, 40, 3)[::-1]])
    assert codec.compress(wrap(pixels[0])) == codec.compress(pixels[0])
    assert codec.compress_batch(wrap(pixels)) == codec.compress_batch(pixels)


def test_arrays_that_cannot_be_read_are_refused(codec):
    with pytest.raises(ArgumentError, match="OnDevice"):
        codec.compress(OnDevice())


def test_latents_of_the_other_byte_order_decode(codec):
    latent = codec.encode(picture(32, 32, 3))
    swapped = latent.astype(latent.dtype.newbyteorder(">"))
    assert np.array_equal(codec.decode(swapped, (32, 32)), codec.decode(latent, (32, 32)))
