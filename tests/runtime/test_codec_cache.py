import pickle

import pytest
from tiny import BUNDLES

from aeedge_runtime import Bundle, Codec, ModelNotFoundError, codec_cache
from aeedge_runtime.bundle.lookup import VARIABLE
from aeedge_runtime.codec_cache import CodecCache


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


def test_a_bundle_is_loaded_once():
    cache = CodecCache(threads=1)
    stream_id = Bundle.load(BUNDLES / "tiny-conv").manifest.stream_id
    codec = cache.for_stream(stream_id)
    assert cache.for_stream(stream_id) is codec
    assert codec.options.threads == 1
    assert cache.for_bundle(codec) is codec
    assert cache.for_bundle("photo") is cache.for_bundle("photo")
    assert cache.for_bundle(BUNDLES / "tiny-conv") is cache.for_bundle(BUNDLES / "tiny-conv")


def test_the_oldest_codec_goes_first(monkeypatch):
    monkeypatch.setattr(codec_cache, "MOST_CODECS", 2)
    cache = CodecCache()
    ids = [Bundle.load(BUNDLES / name).manifest.stream_id for name in ("tiny-conv", "tiny-dense", "tiny-vae")]
    first, second, _ = (cache.for_stream(stream_id) for stream_id in ids)
    assert cache.for_stream(ids[1]) is second
    assert cache.for_stream(ids[0]) is not first


def test_a_pickled_cache_keeps_its_options_alone():
    cache = CodecCache("cpu", 1)
    cache.for_bundle("photo")
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.device, copy.threads, len(copy._codecs)) == ("cpu", 1, 0)


def test_an_unknown_stream_and_a_missing_bundle_are_not_remembered():
    cache = CodecCache()
    with pytest.raises(ModelNotFoundError):
        cache.for_stream("00" * 8)
    with pytest.raises(ModelNotFoundError):
        cache.for_bundle("no-such-bundle")
    assert isinstance(cache.for_bundle(BUNDLES / "tiny-conv"), Codec)
