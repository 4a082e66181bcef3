import numpy as np
import pytest
import torch

from aeedge_export.latents import flatten
from aeedge_export.tables.sensitivity import decoder_sensitivity
from aeedge_export.tables.steps import NOISE_FLOOR, choose_offsets, coarse, ladder, statistics

pytestmark = pytest.mark.torch


class LinearDecoder:
    """One latent position becomes 4x4 gray pixels by a matrix."""

    stride, latent_channels, channels, patched = (4, 4), 3, 1, True

    def __init__(self, matrix):
        self.matrix = torch.from_numpy(matrix.astype(np.float32))

    def decode(self, latent):
        return 0.5 + (latent[:, :, 0, 0] @ self.matrix).reshape(-1, 1, 4, 4)


def test_sensitivity_of_a_linear_decoder_is_the_squared_norm_of_its_columns():
    matrix = np.random.default_rng(0).normal(0, 0.02, (3, 16)) * np.array([[1.0], [2.0], [4.0]])
    latent = np.random.default_rng(1).normal(0, 0.5, (800, 3, 1, 1)).astype(np.float32)
    found = decoder_sensitivity(LinearDecoder(matrix), latent)
    np.testing.assert_allclose(found, np.square(matrix).sum(axis=1), rtol=0.1)


def test_a_channel_the_decoder_ignores_keeps_a_finite_sensitivity():
    matrix = np.zeros((3, 16))
    matrix[0] = 0.01
    found = decoder_sensitivity(LinearDecoder(matrix), np.zeros((4, 3, 1, 1), np.float32))
    assert (found > 0).all()
    assert found[1] < 1e-5 * found[0]


def test_a_rectified_channel_keeps_zero_as_offset():
    values = np.array([[0.0, 3.0], [0.0, 4.0], [2.0, 5.0]])
    np.testing.assert_array_equal(choose_offsets(values), [0.0, 4.0])


def example_ladder(**change):
    latent = np.random.default_rng(0).normal(0, [1.0, 0.5, 0.0], (4000, 3)).astype(np.float32)
    sensitivity = np.array([1.0, 4.0, 1e-6])
    arguments = {"network_mse": 0.004, "values": 64} | change
    return ladder(sensitivity**-0.5, sensitivity, statistics(latent), **arguments), statistics(latent)


def test_steps_shrink_with_quality_and_follow_the_sensitivity():
    steps, _ = example_ladder()
    assert (np.diff(steps[:, :2], axis=0) < 0).all()
    np.testing.assert_allclose(steps[50, 0] / steps[50, 1], 2, rtol=0.01)


def test_the_finest_step_adds_a_hundredth_of_the_networks_error():
    steps, found = example_ladder()
    added = (np.array([1.0, 4.0]) * steps[-1, :2] ** 2 / 12).sum() / 64
    assert added == pytest.approx(0.01 * 0.004, rel=0.05)
    assert (steps[-1] >= NOISE_FLOOR * found.largest * 0.99).all()


def test_a_constant_channel_has_a_positive_step():
    steps, _ = example_ladder()
    assert (steps > 0).all()
    assert np.isfinite(steps).all()


def test_coarse_values_survive_float32_and_stay_near():
    values = np.random.default_rng(0).lognormal(0, 3, 1000)
    rounded = coarse(values)
    np.testing.assert_array_equal(rounded, rounded.astype(np.float32))
    np.testing.assert_allclose(rounded, values, rtol=1e-3)
    assert coarse(np.array([0.0])) == 0


def test_flatten_puts_positions_before_channels():
    latent = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    np.testing.assert_array_equal(flatten([latent])[0], [0, 4, 8])


@pytest.mark.parametrize("silent", [0.0, 1e-7])
def test_a_channel_silent_in_calibration_gets_steps_that_fit_its_neighbors(silent):
    latent = np.random.default_rng(4).normal(0, [1.0, 2.0, 0.0], (500, 3))
    latent[0, 2] = silent
    sensitivity = np.array([1.0, 1.0, 1e-9])
    found = statistics(latent.astype(np.float32))
    steps = ladder(sensitivity**-0.5, sensitivity, found, network_mse=1e-3, values=16)
    assert (steps[:, 2] >= 0.1 * NOISE_FLOOR * found.largest.max()).all()
