"""Large images: the same bytes and pixels in blocks as at once, no seams, and bounded memory."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import BUNDLES, NAMES, change_manifest, copy_of, picture

from aeedge_runtime import AeedgeWarning, Bundle, Codec, StreamError, stream_info
from aeedge_runtime.coding.blocks import BLOCK_SYMBOLS, plan_blocks
from aeedge_runtime.coding.chunk_io import ChunkReader
from aeedge_runtime.coding.networks import Networks
from aeedge_runtime.coding.parts import Part
from aeedge_runtime.coding.tiling import pieces as cut
from aeedge_runtime.stream.container import Stream, read_stream, write_stream
from aeedge_runtime.stream.layout import Block, Geometry, blocks, chunk_spans

PHOTO = Path(sys.modules["aeedge_runtime"].__file__ or "").parent / "bundles" / "photo"


def banded(folder: Path, band_pixels: int, overlap: int | None = None) -> Path:
    """Lowers the size from which on a bundle works in blocks."""

    def change(values) -> None:
        values["limits"]["band_pixels"] = band_pixels
        if overlap is not None:
            values["limits"]["overlap"] = overlap

    return change_manifest(folder, change)


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> tuple[Codec, Codec]:
    """A codec that does all at once, and one that goes in blocks of a few chunks."""
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 300)
    folder = banded(copy_of(request.param, tmp_path / "b"), 8192, 1)
    return Codec.load(BUNDLES / request.param, threads=1), Codec.load(folder, threads=1)


def channels_of(codec: Codec) -> int:
    return codec.bundle.manifest.image.channels


@pytest.fixture(scope="module")
def small_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo bundle with tiles of some hundred pixels a side."""
    return banded(Path(shutil.copytree(PHOTO, tmp_path_factory.mktemp("b") / "photo")), 1 << 16)


@pytest.mark.parametrize("size", [(300, 70), (301, 69), (9, 3000)])
def test_blocks_change_neither_bytes_nor_pixels(pair: tuple[Codec, Codec], size: tuple[int, int]) -> None:
    whole, parts = pair
    pixels = picture(*size, channels_of(whole))
    data = whole.compress(pixels, 80)
    plan = plan_blocks(parts.bundle, 1, *size)
    assert stream_info(data).chunks == sum(len(block.spans) for block in plan) >= len(plan) > (size[0] > 9)
    assert parts.compress(pixels, 80) == data
    np.testing.assert_array_equal(parts.decompress(data), whole.decompress(data))
    np.testing.assert_array_equal(
        np.asarray(parts.decompress_image(data)).reshape(pixels.shape), whole.decompress(data)
    )
    np.testing.assert_array_equal(parts.decompress_symbols(data), whole.decompress_symbols(data))
    np.testing.assert_array_equal(parts.decode(parts.encode(pixels), size), whole.decode(whole.encode(pixels), size))


@pytest.mark.parametrize(("count", "size"), [(40, (16, 16)), (7, (50, 40)), (3, (120, 60))])
def test_blocks_of_a_batch(pair: tuple[Codec, Codec], count: int, size: tuple[int, int]) -> None:
    whole, parts = pair
    images = np.stack([picture(*size, channels_of(whole), seed) for seed in range(count)])
    data = whole.compress_batch(images, 70)
    assert parts.compress_batch(images, 70) == data
    np.testing.assert_array_equal(parts.decompress_batch(data), whole.decompress_batch(data))


def test_latents_of_all_blocks_use_the_same_memory(pair: tuple[Codec, Codec], monkeypatch) -> None:
    whole, parts = pair
    pixels = picture(300, 70, channels_of(whole))
    data = whole.compress(pixels)
    places, read_block = [], ChunkReader.read_block

    def read(self, block, latents) -> None:
        places.append((latents.base.ctypes.data, latents.base.nbytes))
        read_block(self, block, latents)

    monkeypatch.setattr(ChunkReader, "read_block", read)
    parts.decompress(data)
    assert len(places) > 2
    assert len(set(places)) == 1


def test_threads_are_counted_by_the_chunks_of_a_block(pair: tuple[Codec, Codec], monkeypatch) -> None:
    """Those of other blocks are not there at the same time."""
    whole, parts = pair
    pixels = picture(300, 70, channels_of(whole))
    plan = plan_blocks(parts.bundle, 1, 300, 70)
    assert len(plan) > 1
    asked: list[list[Block]] = []
    monkeypatch.setattr(Networks, "workers", lambda networks, plan: asked.append(plan) or 1)
    parts.decompress(parts.compress(pixels))
    assert asked == [plan, plan]


def test_a_search_over_blocks_finds_what_one_over_the_whole_finds(pair: tuple[Codec, Codec]) -> None:
    whole, parts = pair
    pixels = picture(200, 70, channels_of(whole))
    limit = len(whole.compress(pixels, 40)) + 3
    assert parts.compress(pixels, max_bytes=limit) == whole.compress(pixels, max_bytes=limit)
    assert parts.compress(pixels, target_psnr=25) == whole.compress(pixels, target_psnr=25)


def test_gray_and_alpha_in_blocks(tmp_path: Path) -> None:
    whole = Codec.load(BUNDLES / "tiny-conv", threads=1)
    parts = Codec.load(banded(copy_of("tiny-conv", tmp_path / "b"), 2048), threads=1)
    gray = np.concatenate([picture(200, 90, 1), picture(200, 90, 1, seed=2)], axis=2)
    with pytest.warns(AeedgeWarning, match="gray"):
        data = parts.compress(gray)
    restored = parts.decompress(data)
    assert restored.shape == (200, 90, 2)
    np.testing.assert_array_equal(restored, whole.decompress(data))
    np.testing.assert_array_equal(restored[..., 1], gray[..., 1])
    np.testing.assert_array_equal(np.asarray(parts.decompress_image(data)), restored)


def test_a_wrong_symbol_hash_is_found_before_any_pixel_is_returned(pair: tuple[Codec, Codec]) -> None:
    whole, parts = pair
    stream = read_stream(
        whole.compress(picture(300, 70, channels_of(whole))), geometry_for=lambda _: whole.bundle.geometry
    )
    forged = write_stream(Stream(**{**vars(stream), "symbol_hash": stream.symbol_hash ^ 1}))
    for call in (parts.decompress, parts.decompress_symbols, parts.decompress_pictures, parts.decompress_image):
        with pytest.raises(StreamError, match="symbols do not match their hash"):
            call(forged)


@given(
    *(st.integers(1, 300), st.sampled_from([1, 4]), st.integers(1, 9), st.integers(1, 300), st.integers(1, 900)),
    st.integers(1, 1 << 24),
)
@settings(max_examples=200, deadline=None)
def test_blocks_hold_all_chunks_in_order_within_the_limit(channels, unit, count, h, w, most) -> None:
    geometry = Geometry((8, 8), channels, int(unit > 1), unit)
    spans, plan = chunk_spans(geometry, count, h, w), blocks(geometry, count, h, w, most)
    assert [span for block in plan for span in block.spans] == spans
    assert sum(len(block.images) * len(block.rows) for block in plan) == count * h
    for block in plan:
        held = len(block.images) * len(block.rows)
        assert held == sum(span.images * span.rows for span in block.spans)
        assert len(block.rows) == h or len(block.images) == 1
        assert held * w * channels <= most or len(block.spans) == 1


def test_a_block_of_a_large_photo_is_small() -> None:
    bundle = Bundle.load(PHOTO)
    assert len(plan_blocks(bundle, 1, 2000, 4000)) == 1
    assert len(plan_blocks(bundle, 1, 4000, 6000)) > 1
    plan = plan_blocks(bundle, 1, 10_000, 10_000)
    assert max(len(block.rows) for block in plan) * 625 * 320 <= BLOCK_SYMBOLS


@given(st.integers(1, 200), st.integers(0, 200), st.integers(1, 200), st.integers(1, 150), st.integers(0, 9))
def test_pieces_cover_a_part_once_with_their_context(size, first, length, most, overlap) -> None:
    part = range(min(first, size - 1), min(first + length, size))
    pieces = cut(part, size, most, overlap)
    assert [place for inner, _ in pieces for place in inner] == list(part)
    for inner, outer in pieces:
        assert outer == range(max(inner.start - overlap, 0), min(inner.stop + overlap, size))
        assert len(outer) <= max(most, 3 * overlap, 1 + 2 * overlap)


def test_symbols_of_tiles_are_those_of_the_whole(small_photo: Path) -> None:
    pixels = picture(500, 700, 3)
    whole, parts = Codec.load(PHOTO, threads=1), Codec.load(small_photo, threads=1)
    data = parts.compress(pixels, 60)
    found, expected = parts.decompress_symbols(data), whole.decompress_symbols(whole.compress(pixels, 60))
    different = np.abs(found.astype(int) - expected)
    assert different.max() <= 1
    assert (different > 0).mean() <= 1e-4
    restored, at_once = parts.decompress(data).astype(int), whole.decompress(data).astype(int)
    assert np.abs(restored - at_once).max() <= 1


def test_tiles_leave_no_seams(small_photo: Path) -> None:
    pixels = picture(500, 700, 3)
    error = errors(Codec.load(small_photo, threads=1), pixels)
    border = borders(small_photo, *pixels.shape[:2])
    assert 0.05 < border.mean() < 0.6
    assert error[border].mean() < 1.1 * error[~border].mean()


def test_too_little_overlap_would_be_seen(small_photo: Path, tmp_path: Path) -> None:
    folder = banded(Path(shutil.copytree(small_photo, tmp_path / "b")), 1 << 16, overlap=0)
    pixels = picture(500, 700, 3)
    whole, parts = Codec.load(PHOTO, threads=1), Codec.load(folder, threads=1)
    difference = np.abs(whole.encode(pixels) - parts.encode(pixels))
    assert difference.max() > 0.1


def errors(codec: Codec, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Squared error of each pixel, [H, W]."""
    restored = codec.decompress(codec.compress(pixels, 60))
    return np.square(pixels.astype(np.float64) - restored).mean(axis=2)


def borders(folder: Path, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels within 8 of a border between tiles, bool [height, width]."""
    codec = Codec.load(folder, threads=1)
    networks: Networks = codec._networks
    stride = codec.bundle.manifest.image.stride
    h, w = codec.bundle.geometry.latent_size(height, width)
    found = np.zeros((height, width), bool)
    for tile in networks._tiles(range(h), h, w):
        row, column = tile.rows.start * stride[0], tile.columns.start * stride[1]
        if row:
            found[row - 8 : row + 8] = True
        if column:
            found[:, column - 8 : column + 8] = True
    return found


MEASURE = """
import sys
import numpy as np
from aeedge.benchmark.meters import peak_bytes, reset_peak, resident_bytes
from aeedge_runtime import Codec

codec = Codec.load(sys.argv[1], threads=1)
codec.compress(np.zeros((64, 64, 3), np.uint8))
pixels = np.random.default_rng(0).integers(0, 256, (1600, 2400, 3), np.uint8) // 16 + 100
for call, value in ((codec.compress, pixels), (codec.decompress, None)):
    base = resident_bytes()
    if not reset_peak():
        break
    result = call(value if value is not None else data)
    print((peak_bytes() - base - (result.nbytes if value is None else 0)) // 10**6)
    data = result
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs a peak of memory that can be reset")
def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    folder = banded(Path(shutil.copytree(PHOTO, tmp_path / "photo")), 1 << 20)
    process = subprocess.run([sys.executable, "-c", MEASURE, folder], capture_output=True, text=True, check=True)
    compress_mb, decompress_mb = map(int, process.stdout.split())
    # At once they take 250 MB and 320 MB; in tiles of 1 megapixel, a quarter and some work of the coder.
    assert compress_mb < 180
    assert decompress_mb < 180


def test_blocks_are_read_in_their_order(pair) -> None:
    _, codec = pair
    data = codec.compress(picture(160, 96, channels_of(codec)))
    stream = codec._decoder.open(data, None)
    reader = codec._decoder.reader(stream, Part.all_of(stream))
    _, later, *_ = plan_blocks(codec.bundle, 1, stream.height, stream.width)
    h, w = codec.bundle.geometry.latent_size(stream.height, stream.width)
    latents = np.empty((1, codec.bundle.geometry.latent_channels, h, w), np.float32)
    with pytest.raises(ValueError, match="blocks out of order"):
        reader.read_block(later, latents)
