from pathlib import Path

import numpy as np
import pytest

from aeedge_export.checks.rates import QUALITIES, rate_table
from aeedge_runtime import Codec

BUNDLES = Path(__file__).parents[2] / "fixtures" / "bundles"


def images(channels, *sizes):
    rows, columns = np.mgrid[:128, :160]
    wave = 120 + 60 * np.sin(rows / 9) + 40 * np.cos(columns / 7)
    planes = np.clip(np.rint(wave), 0, 255).astype(np.uint8)[..., None].repeat(channels, axis=2)
    return [planes[number : number + height, :width] for number, (height, width) in enumerate(sizes)]


def test_images_are_coded_one_by_one():
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    given = images(3, (100, 120), (80, 140))
    rows = rate_table(codec, given)
    assert [row["quality"] for row in rows] == list(QUALITIES)
    streams = [codec.compress(image, 50, stored_tiles=False) for image in given]
    row = rows[2]
    assert row["bits_per_pixel"] == pytest.approx(8 * sum(map(len, streams)) / (12_000 + 11_200), abs=1e-4)
    assert row["ratio"] == pytest.approx(3 * 23_200 / sum(map(len, streams)), abs=0.01)
    decoded = np.concatenate([codec.decompress(stream).ravel() for stream in streams])
    error = np.square(np.concatenate([image.ravel() for image in given]).astype(float) - decoded).mean()
    assert row["psnr_db"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)


def test_small_images_of_one_size_share_a_stream():
    codec = Codec.load(BUNDLES / "tiny-dense", threads=1)
    given = images(1, *[(16, 24)] * 9)
    row = rate_table(codec, given)[2]
    stream = codec.compress_batch(np.stack(given), 50, stored_tiles=False)
    assert row["ratio"] == pytest.approx(9 * 16 * 24 / len(stream), abs=0.01)
