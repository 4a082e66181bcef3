import numpy as np
import pytest

from aeedge.evaluation.metrics import LEAST_SIDE, Reference, in_decibels, ms_ssim
from aeedge_runtime import ArgumentError


def picture(height, width, channels=3, seed=0):
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + 3 * index)) + np.cos(columns / (9 + index)) for index in range(channels)]
    return np.clip(
        128 + 50 * np.stack(waves, axis=2) + generator.normal(0, 8, (height, width, channels)), 0, 255
    ).astype(np.uint8)


def noisy(pixels, sigma, seed=1):
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def test_equal_images_have_one():
    pixels = picture(180, 200)
    assert ms_ssim(pixels, pixels) == pytest.approx(1, abs=1e-6)
    assert in_decibels(1.0) == 100
    assert in_decibels(0.9) == pytest.approx(10)


def test_more_noise_is_worse():
    pixels = picture(200, 180)
    reference = Reference.of(pixels)
    values = [reference.ms_ssim(noisy(pixels, sigma)) for sigma in (2, 10, 40, 120)]
    assert values == sorted(values, reverse=True)
    assert 0 < values[-1] < values[0] < 1


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="expected at least 176"):
        Reference.of(picture(LEAST_SIDE - 1, 300))
    with pytest.raises(ArgumentError, match="expected"):
        Reference.of(picture(LEAST_SIDE, LEAST_SIDE)).ms_ssim(picture(LEAST_SIDE, LEAST_SIDE + 1))


@pytest.mark.torch
@pytest.mark.parametrize(("height", "width", "channels"), [(176, 176, 3), (321, 481, 3), (177, 240, 1)])
@pytest.mark.parametrize("sigma", [1, 12, 60])
def test_ms_ssim_is_that_of_torchmetrics(height, width, channels, sigma):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    first = picture(height, width, channels)
    second = noisy(first, sigma)
    tensors = [torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32) for pixels in (second, first)]
    expected = functional.multiscale_structural_similarity_index_measure(*tensors, data_range=255.0)
    assert ms_ssim(first, second) == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.torch
def test_psnr_is_that_of_torchmetrics():
    from aeedge_runtime.images.psnr import psnr_db

    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    first = picture(60, 70)
    second = noisy(first, 9)
    tensors = [torch.tensor(pixels, dtype=torch.float32) for pixels in (second, first)]
    expected = functional.peak_signal_noise_ratio(*tensors, data_range=255.0)
    assert psnr_db(first, second) == pytest.approx(float(expected), abs=1e-4)
