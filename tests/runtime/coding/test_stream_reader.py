import threading

import numpy as np
import pytest
from tiny import BUNDLES, half_of, picture

from aeedge_runtime import ArgumentError, Codec, MissingHalfError, StreamError
from aeedge_runtime.coding import decoder


@pytest.fixture(scope="module")
def codec():
    return Codec.load(BUNDLES / "tiny-hyper", threads=1)


pytestmark = pytest.mark.usefixtures("small_chunks")


def packed(codec, **options):
    images = np.stack([picture(24, 40, 3, seed) for seed in range(20)])
    return codec.compress_batch(images, 80, **options)


def test_neighbors_in_a_chunk_decode_it_once(codec, chunks):
    data = packed(codec, stored_tiles=False)
    every = codec.decompress_batch(data)
    chunks.clear()
    reader = codec.open(data)
    assert (reader.count, reader.height, reader.width) == (20, 24, 40)
    for index in range(20):
        assert np.array_equal(reader.decompress(index), every[index])
    assert chunks == [0, 1, 2, 3]
    assert np.array_equal(reader.decompress(3, rows=(2, 9), channels=3), every[3, 2:9])
    out = np.empty((24, 40, 3), np.uint8)
    assert reader.decompress(19, out=out) is out
    assert np.array_equal(out, every[19])


def test_stored_tiles_and_alpha_are_unpacked_once(codec, monkeypatch):
    images = np.stack([picture(80, 70, 4, seed) for seed in range(6)])
    images[:, :, 32:, :3] = 30
    for options in ({"max_error": 0}, {"quality": 80}, {"max_error": 5}):
        data = codec.compress_batch(images, **options)
        every, counts = codec.decompress_batch(data), {"blob": 0, "alpha": 0}

        def counted(name, run, counts=counts):
            def count(*args):
                counts[name] += 1
                return run(*args)

            return count

        with monkeypatch.context() as patch:
            patch.setattr(decoder, "decode_blob", counted("blob", decoder.decode_blob))
            patch.setattr(decoder, "unpack_alpha", counted("alpha", decoder.unpack_alpha))
            reader = codec.open(data)
            for index in range(6):
                assert np.abs(reader.decompress(index).astype(int) - every[index]).max() <= 1
        assert counts["blob"] <= 2
        assert counts["alpha"] <= 1


def test_errors_are_those_of_decompress(codec, tmp_path):
    with pytest.raises(StreamError):
        codec.open(b"nothing")
    reader = codec.open(packed(codec))
    with pytest.raises(ArgumentError, match="index"):
        reader.decompress(20)
    with pytest.raises(ArgumentError, match="20 images"):
        reader.decompress()
    with pytest.raises(MissingHalfError):
        Codec.load(half_of("tiny-hyper", "encoder", tmp_path / "b")).open(packed(codec))


def test_threads_share_a_reader(codec):
    data = packed(codec)
    every, reader, wrong = codec.decompress_batch(data), codec.open(data), []

    def work(first):
        for index in range(first, first + 40, 3):
            if not np.array_equal(reader.decompress(index % 20), every[index % 20]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_a_reader_of_a_closed_codec_refuses():
    with Codec.load(BUNDLES / "tiny-hyper", threads=1) as codec:
        reader = codec.open(codec.compress(picture(24, 40, 3)))
        assert reader.decompress().shape == (24, 40, 3)
    with pytest.raises(ArgumentError, match="closed"):
        reader.decompress()
