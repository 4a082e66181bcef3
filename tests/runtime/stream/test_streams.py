"""The streams of tests/fixtures/streams: one for each rule of FORMAT.md, read by the codec and by the slow decoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forged import take_apart
from reference_decoder import Model, RuleBrokenError, decode_stream
from reference_priors import factorized, tables_of
from reference_tiles import painted
from tiny import BUNDLES

from aeedge_runtime import Codec, LimitError, StreamError, UnsupportedStreamError, stream_info, stream_names
from aeedge_runtime.bundle.tables import read_arrays
from aeedge_runtime.entropy.chunk import hash_symbols

STREAMS = Path(__file__).parents[2] / "fixtures" / "streams"
FACTS = json.loads((STREAMS / "streams.json").read_bytes())


def files(kind: str) -> list[str]:
    return [name for name in FACTS if name.startswith(f"{kind}-")]


def codec_for(name: str) -> Codec:
    return Codec.load(BUNDLES / FACTS[name]["bundle"], threads=1)


def reference(name: str) -> None:
    """Reads a stream of a factorized bundle by the slow decoder."""
    folder = BUNDLES / FACTS[name]["bundle"]
    data = (STREAMS / name).read_bytes()
    arrays = read_arrays((folder / "entropy.npz").read_bytes())
    model = Model(
        bytes.fromhex(json.loads((folder / "manifest.json").read_bytes())["stream_id"]),
        (8, 8),
        len(arrays["offsets"]),
        samples=1 if FACTS[name]["bundle"] == "tiny-dense" else 3,
    )
    width = stream_info(data).width if name.startswith("good") else 8
    decode_stream(data, model, tables_of(arrays), factorized(arrays, -(-width // 8)))


def test_every_file_is_listed() -> None:
    assert sorted(FACTS) == sorted(path.name for path in STREAMS.glob("*.aee"))
    assert len(files("good")) >= 12
    assert len(files("bad")) >= 60
    assert len(files("unsupported")) >= 11


@pytest.mark.parametrize("name", files("good"))
def test_good_streams(name: str) -> None:
    codec, facts = codec_for(name), FACTS[name]
    data = (STREAMS / name).read_bytes()
    symbols = codec.decompress_symbols(data)
    assert (len(symbols), hash_symbols(symbols)) == (facts["symbols"], facts["symbols_crc32"])
    info = stream_info(data)
    images = codec.decompress_batch(data)
    assert images.shape[:3] == (info.count, info.height, info.width)
    assert images.dtype == np.uint8
    if facts["bundle"] != "tiny-hyper" and info.count < 1000:
        reference(name)


@pytest.mark.parametrize("name", [name for name in files("good") if "tiles" in name or "bound" in name])
def test_stored_tiles_and_residuals_are_those_of_the_slow_reader(name: str) -> None:
    data = (STREAMS / name).read_bytes()
    fields, _ = take_apart(data)
    codec, info = codec_for(name), stream_info(data)
    images = codec.decompress_batch(data)
    sections, start = {}, 0
    for key, size in fields.table:
        sections[key], start = fields.body[start : start + size], start + size
    plain = np.zeros((info.count, info.height, info.width, images.shape[3]), np.uint8)
    if len(fields.body) > start:
        plain = codec.decompress_batch(
            replace(fields, flags=fields.flags & 2, table=[], body=fields.body[start:]).seal()
        )
    samples = images.shape[3] - (images.shape[3] in (2, 4))
    tall = plain.reshape(-1, *plain.shape[2:]).tolist()
    expected = np.array(painted(tall, info.count, info.height, info.width, samples, sections))
    np.testing.assert_array_equal(images.reshape(expected.shape), expected)
    assert (images != plain).any() == (name != "good-bound-alone.aee")
    if info.count == 1:
        np.testing.assert_array_equal(np.asarray(codec.decompress_image(data)).reshape(expected.shape), expected)
    pictures = codec.decompress_pictures(data)
    np.testing.assert_array_equal(np.concatenate([picture.pixels for picture in pictures]), expected[..., :samples])


def test_sections_of_a_good_stream() -> None:
    data = (STREAMS / "good-every-section.aee").read_bytes()
    assert stream_info(data).section_bytes.keys() == {"alpha", "icc", "exif", "names"}
    assert stream_names(data) == ["a.png", "deep/b.png", "c\udcff.png"]
    assert codec_for("good-every-section.aee").decompress_batch(data).shape[3] == 4


@pytest.mark.parametrize("name", files("bad"))
def test_bad_streams(name: str) -> None:
    with pytest.raises(StreamError, match=FACTS[name]["error"]) as caught:
        codec_for(name).decompress_batch((STREAMS / name).read_bytes())
    assert not isinstance(caught.value, UnsupportedStreamError)
    assert "\n" not in str(caught.value)
    if not name.startswith(("bad-alpha", "bad-names")):
        with pytest.raises(RuleBrokenError):
            reference(name)


@pytest.mark.parametrize("name", files("unsupported"))
def test_unsupported_streams(name: str) -> None:
    data = (STREAMS / name).read_bytes()
    with pytest.raises(UnsupportedStreamError, match=f"{FACTS[name]['error']}.*; update aeedge"):
        codec_for(name).decompress_batch(data)
    if name != "unsupported-tiles-kind-of-blob.aee":  # facts do not need the blobs
        with pytest.raises(UnsupportedStreamError):
            stream_info(data)


@pytest.mark.parametrize("name", files("limit"))
def test_streams_beyond_a_limit(name: str) -> None:
    with pytest.raises(LimitError, match=FACTS[name]["error"]):
        codec_for(name).decompress_batch((STREAMS / name).read_bytes())
    stream_info((STREAMS / name).read_bytes())
