import numpy as np
import pytest

from aeedge_runtime.bundle.quantizer import by_channel, dequantize, to_steps

STEPS, OFFSETS, SHRINK = (np.array(row, np.float32) for row in ([2, 0.5], [1, -3], [0.25, 0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_come_back_to_within_half_a_step(dtype) -> None:
    steps, offsets = (by_channel(row).astype(dtype) for row in (STEPS, OFFSETS))
    latent = np.random.default_rng(1).normal(0, 20, (3, 2, 4, 5)).astype(dtype)
    symbols = np.rint(to_steps(latent, steps, offsets))
    found = dequantize(symbols, steps, offsets, np.zeros_like(steps))
    assert found.dtype == dtype
    assert (np.abs(found - latent) <= steps / 2 + 1e-5).all()


def test_a_latent_is_offset_and_shrunk_symbol_and_mean_in_steps() -> None:
    symbols = np.array([[[-4, 0, 2], [-4, 0, 2]]], np.float32)
    means = np.full_like(symbols, 0.5)
    found = dequantize(symbols.copy(), STEPS[:, None], OFFSETS[:, None], SHRINK[:, None], means)
    assert found.tolist() == [[[-5.5, 2, 5.5], [-4.75, -2.75, -1.75]]]


def test_zeros_change_nothing() -> None:
    symbols = np.array([3, -2], np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    assert dequantize(symbols.copy(), one, zero, zero).tolist() == [3, -2]
