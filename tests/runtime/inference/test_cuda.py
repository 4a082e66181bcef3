"""What only a GPU can show; without one each test is skipped by name, and the summary counts them."""

import subprocess

import numpy as np
import pytest
from tiny import BUNDLES, NAMES, picture

from aeedge_runtime import Codec, DeviceError, verify_bundle
from aeedge_runtime.inference.session import CUDA

STREAMS = 200
ROUNDS_MIB = 64
"""How much more memory may be in use after rounds of changing sizes than after the first."""


def without_gpu() -> str:
    try:
        Codec.load(BUNDLES / "tiny-conv", device="cuda")
    except DeviceError as error:
        return str(error)
    return ""


REASON = without_gpu()
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.mark.parametrize("place", [*NAMES, "photo"])
def test_a_bundle_verifies(place: str) -> None:
    verification = verify_bundle(place if place == "photo" else BUNDLES / place, "cuda")
    assert verification.passed, verification.faults
    assert {verification.providers[role] for role in ("encoder", "decoder")} == {CUDA}


def test_streams_cross_devices_to_the_symbols_that_were_written() -> None:
    codecs = [Codec.load("photo"), Codec.load("photo", device="cuda")]
    for number in range(STREAMS):
        rng = np.random.default_rng(number)
        image = picture(int(rng.integers(1, 200)), int(rng.integers(1, 200)), 3)
        writer = codecs[number % 2]
        stream = writer.compress(image, int(rng.integers(1, 101)))
        np.testing.assert_array_equal(*(codec.decompress_symbols(stream) for codec in codecs))
        pixels = [codec.decompress(stream).astype(int) for codec in codecs]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1


def test_memory_stays_flat_over_changing_sizes() -> None:
    codec = Codec.load("photo", device="cuda")
    used = []
    for _ in range(4):
        for side in (64, 700, 200, 1000, 320):
            codec.decompress(codec.compress(picture(side, side + 40, 3)))
        used.append(memory_mib())
    assert used[-1] - used[0] <= ROUNDS_MIB


def memory_mib() -> int:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def test_captured_graphs_give_the_same_bytes() -> None:
    plain = Codec.load("photo", device="cuda")
    captured = Codec.load("photo", device="cuda", provider_options={"enable_cuda_graph": "1"})
    for side in (96, 128, 96, 96, 128):
        image = picture(side, side, 3)
        np.testing.assert_allclose(captured.encode(image), plain.encode(image), atol=1e-3)
