import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import ArgumentError, Codec, ModelNotFoundError
from aeedge_runtime.array_chunks import ChunkCodec, as_batch, check_chunk
from aeedge_runtime.bundle.lookup import VARIABLE


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


@pytest.fixture(scope="module")
def codec():
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


@pytest.mark.parametrize(
    ("shape", "batch"),
    [
        ((5, 7), (1, 5, 7, 1)),
        ((5, 7, 3), (1, 5, 7, 3)),
        ((5, 7, 9), (5, 7, 9, 1)),
        ((2, 5, 7, 4), (2, 5, 7, 4)),
    ],
)
def test_chunks_are_batches_of_images(shape, batch):
    assert as_batch(shape) == batch


@pytest.mark.parametrize("shape", [(40, 24), (40, 24, 3), (40, 24, 4), (40, 24, 2), (3, 40, 24), (2, 40, 24, 3)])
def test_a_chunk_comes_back_in_its_shape(codec, shape):
    chunk = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    exact = ChunkCodec.of(max_error=0, bundle=codec)
    assert np.array_equal(exact.decode(exact.encode(chunk), shape), chunk)


def test_opaque_alpha_comes_back(codec):
    chunk = np.concatenate([picture(40, 24, 3), np.full((40, 24, 1), 255, np.uint8)], axis=2)
    exact = ChunkCodec.of(max_error=0, bundle=codec)
    assert np.array_equal(exact.decode(exact.encode(chunk), chunk.shape), chunk)


def test_the_rate_is_the_one_asked_for(codec):
    chunk = picture(40, 24, 3)
    assert ChunkCodec.of(80, bundle=codec).encode(chunk) == codec.compress(chunk, 80)
    assert ChunkCodec.of(bundle=codec).quality == 50
    assert ChunkCodec.of(max_error=4, bundle=codec).quality is None


def test_a_reader_finds_the_bundle_by_stream_id(codec):
    stream_id = codec.bundle.manifest.stream_id
    data = ChunkCodec.of(bundle=codec).encode(picture(40, 24, 3))
    assert ChunkCodec.of(stream_id=stream_id).decode(data, (40, 24, 3)).shape == (40, 24, 3)
    with pytest.raises(ModelNotFoundError, match="00" * 8):
        ChunkCodec.of(stream_id="00" * 8).decode(data)


@pytest.mark.parametrize(("shape", "dtype"), [((5, 7), "uint16"), ((5,), "uint8"), ((2, 5, 7, 5), "uint8")])
def test_other_chunks_are_refused(shape, dtype):
    with pytest.raises(ArgumentError):
        check_chunk(shape, np.dtype(dtype))


def test_what_excludes_each_other_is_refused(codec):
    with pytest.raises(ArgumentError, match="max_error"):
        ChunkCodec.of(50, 0, codec)
    with pytest.raises(ArgumentError, match="00" * 8):
        ChunkCodec.of(bundle=codec, stream_id="00" * 8)
    data = ChunkCodec.of(bundle=codec).encode(picture(40, 24, 3))
    with pytest.raises(ArgumentError, match="expected"):
        ChunkCodec.of(bundle=codec).decode(data, (40, 25, 3))
