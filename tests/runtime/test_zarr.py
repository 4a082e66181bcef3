import json

import numpy as np
import pytest
from tiny import BUNDLES, picture

zarr = pytest.importorskip("zarr", minversion="3")

from zarr.registry import register_codec  # noqa: E402

from aeedge_runtime import ArgumentError, ModelNotFoundError  # noqa: E402
from aeedge_runtime.bundle.lookup import VARIABLE  # noqa: E402
from aeedge_runtime.zarr import NAME, AeedgeCodec  # noqa: E402

register_codec(NAME, AeedgeCodec)  # as the entry point does where the package is installed
CONV = BUNDLES / "tiny-conv"


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


def create(path, array, chunks, **options):
    codec = AeedgeCodec(bundle=CONV, **options)
    made = zarr.create_array(
        path, shape=array.shape, chunks=chunks, dtype=array.dtype, serializer=codec, compressors=None
    )
    made[:] = array
    return codec


@pytest.mark.parametrize(
    ("shape", "chunks"), [((100, 90), (64, 64)), ((100, 90, 3), (64, 64, 3)), ((5, 50, 40), (2, 32, 32))]
)
def test_an_array_comes_back_exactly_within_a_bound_of_0(tmp_path, shape, chunks):
    array = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    create(tmp_path / "a.zarr", array, chunks, max_error=0)
    assert np.array_equal(zarr.open_array(tmp_path / "a.zarr")[:], array)


def test_the_metadata_hold_stream_id_and_rate(tmp_path):
    codec = create(tmp_path / "a.zarr", picture(64, 64, 3), (64, 64, 3), quality=80)
    (entry,) = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["codecs"]
    assert entry == {"name": NAME, "configuration": {"stream_id": codec.chunks.stream_id, "quality": 80}}


def test_a_missing_bundle_is_named_when_a_chunk_is_read(tmp_path, monkeypatch):
    codec = create(tmp_path / "a.zarr", picture(64, 64, 3), (64, 64, 3))
    path = tmp_path / "a.zarr" / "zarr.json"
    path.write_text(path.read_text().replace(codec.chunks.stream_id, "00" * 8))
    array = zarr.open_array(tmp_path / "a.zarr")
    with pytest.raises(ModelNotFoundError, match="00" * 8):
        array[:]


def test_other_dtypes_are_refused_when_the_array_is_created(tmp_path):
    with pytest.raises(ArgumentError, match="uint16"):
        create(tmp_path / "a.zarr", np.zeros((64, 64), np.uint16), (64, 64))


def test_xarray_and_dask_read_and_write(tmp_path):
    xarray = pytest.importorskip("xarray")
    dask = pytest.importorskip("dask.array")
    image = picture(96, 80, 3)
    codec = AeedgeCodec(bundle=CONV, max_error=0)
    encoding = {"image": {"serializer": codec, "compressors": (), "chunks": (48, 48, 3)}}
    data = xarray.Dataset({"image": (("y", "x", "band"), image)})
    data.to_zarr(tmp_path / "a.zarr", encoding=encoding, zarr_format=3, consolidated=False)
    with xarray.open_zarr(tmp_path / "a.zarr", consolidated=False) as found:
        assert np.array_equal(found["image"].values, image)
    lazy = dask.from_zarr(str(tmp_path / "a.zarr"), component="image")
    assert lazy.chunks[0] == (48, 48)
    assert np.array_equal(lazy[:50].compute(), image[:50])
