import numpy as np
import pytest
from tiny import BUNDLES, picture

numcodecs = pytest.importorskip("numcodecs")

from aeedge_runtime import Codec  # noqa: E402
from aeedge_runtime.bundle.lookup import VARIABLE  # noqa: E402
from aeedge_runtime.numcodecs import AeedgeCodec  # noqa: E402

numcodecs.register_codec(AeedgeCodec)
CONV = BUNDLES / "tiny-conv"


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


def test_a_codec_made_from_its_config_reads_what_was_written():
    chunk = picture(40, 24, 3)
    codec = AeedgeCodec(80, bundle=CONV)
    data = codec.encode(chunk)
    assert data == Codec.load(CONV, threads=1).compress(chunk, 80)
    again = numcodecs.get_codec(codec.get_config())
    out = np.empty_like(chunk)
    again.decode(data, out)
    assert np.array_equal(out, again.decode(data).reshape(chunk.shape))


def test_zarr_2_arrays_come_back(tmp_path):
    zarr = pytest.importorskip("zarr")
    image = picture(96, 80, 3)
    codec = AeedgeCodec(max_error=0, bundle=CONV)
    options = {"zarr_format": 2, "compressors": codec} if zarr.__version__ >= "3" else {"compressor": codec}
    create = zarr.create_array if zarr.__version__ >= "3" else zarr.open_array
    array = create(str(tmp_path / "a.zarr"), shape=image.shape, chunks=(48, 48, 3), dtype="uint8", **options)
    array[:] = image
    assert np.array_equal(zarr.open_array(str(tmp_path / "a.zarr"))[:], image)
