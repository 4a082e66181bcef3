import re

import numpy as np
import pytest

from aeedge_export.checks import quality_monotonic as ladder
from aeedge_export.checks.quality_monotonic import RUNGS, Rung, check_ladder, ladder_faults, measure_ladder
from aeedge_runtime import AeedgeWarning


class FakeCodec:
    """Takes as many bytes as the quality says and damages the picture accordingly; swaps two qualities if told to."""

    def __init__(self, swapped=()):
        self.swapped = dict(zip(swapped, reversed(swapped), strict=True))

    def compress(self, image, quality, stored_tiles):
        self.image = image
        return bytes(self.swapped.get(quality, quality))

    def decompress(self, stream):
        damaged = np.arange(self.image.size).reshape(self.image.shape) % 110 > len(stream)
        return np.where(damaged, self.image ^ 8, self.image)


@pytest.fixture
def images():
    return [np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)]


def test_the_ends_are_among_the_rungs():
    assert (RUNGS[0], RUNGS[-1]) == (1, 100)


def test_a_rising_ladder_is_said_to_rise(images):
    found = check_ladder(FakeCodec(), images)
    assert re.fullmatch(r"[\d.]+ to [\d.]+ dB over 34 qualities, rising in bytes and PSNR", found)


def test_a_swapped_pair_of_qualities_is_warned_about(images):
    codec = FakeCodec(swapped=(40, 43))
    assert [rung.stream_bytes for rung in measure_ladder(codec, images)][13:15] == [43, 40]
    fault = r"quality 43 takes no more bytes than quality 40 \(40.0 against 43.0\), and 1 more, on 1 images"
    with pytest.warns(AeedgeWarning, match=fault):
        assert "NOT rising" in check_ladder(codec, images)


def test_equal_bytes_are_a_fault_and_noise_in_psnr_is_not():
    assert ladder_faults([Rung(1, 10, 30.0), Rung(4, 11, 30.0 - ladder.PSNR_NOISE_DB / 2)]) == []
    assert ladder_faults([Rung(1, 10, 30.0), Rung(4, 10, 31.0)]) == [
        "quality 4 takes no more bytes than quality 1 (10.0 against 10.0)"
    ]
    assert ladder_faults([Rung(1, 10, 30.0), Rung(4, 11, 29.9)]) == [
        "quality 4 is worse than quality 1 (29.90 dB against 30.00)"
    ]
