import numpy as np
import pytest

from aeedge_export.tables.factorized import choose_shrink, factorized_tables, fit_shrink, restore
from aeedge_runtime.entropy.bank import FrequencyBank

pytestmark = pytest.mark.torch

SCALES = np.array([4.0, 1.0, 0.2, 0.0])


@pytest.fixture(scope="module")
def latent():
    return np.random.default_rng(0).laplace(0, 1, (6000, 4)).astype(np.float32) * SCALES.astype(np.float32)


@pytest.fixture(scope="module")
def calibration(latent):
    return factorized_tables(latent, steps(), np.zeros(4))


def steps():
    return np.repeat(np.geomspace(2.0, 0.05, 100)[:, None], 4, axis=1)


def test_better_qualities_take_more_bits(calibration):
    assert (np.diff(calibration.bits) > 0).all()


def test_a_channel_that_never_moves_is_dead_and_certain(calibration):
    assert calibration.dead == 1
    assert calibration.arrays["bank_kind"][calibration.arrays["table_index"][:, 3]].tolist() == [2] * 100
    assert (calibration.arrays["shrink"][:, 3] == 0).all()


def test_the_runtime_takes_the_bank_and_the_cost_is_near_the_entropy(calibration, latent):
    bank = FrequencyBank.from_arrays(calibration.arrays)
    fresh = np.random.default_rng(1).laplace(0, 1, latent.shape) * SCALES
    for quality in (5, 50, 95):
        symbols = np.rint(fresh / steps()[quality - 1]).astype(np.int16)
        index = np.broadcast_to(calibration.arrays["table_index"][quality - 1], symbols.shape)
        cost = bank.cost_bits(np.ascontiguousarray(index), symbols).sum() / len(symbols)
        assert cost < sum(entropy_bits(column) for column in symbols.T) * 1.03
        assert cost == pytest.approx(calibration.bits[quality - 1], rel=0.03)


def entropy_bits(symbols):
    share = np.unique(symbols, return_counts=True)[1] / len(symbols)
    return -(share * np.log2(share)).sum()


def test_an_outlier_keeps_a_quiet_channel_coded(latent):
    quiet = np.zeros((6000, 1), np.float32)
    quiet[17] = 9.0
    found = factorized_tables(quiet, steps()[:, :1], np.zeros(1))
    assert found.dead == 0
    assert (found.arrays["bank_kind"][found.arrays["table_index"][:, 0]] != 2).all()


def test_shrink_is_the_mean_distance_towards_zero():
    scaled = np.random.default_rng(0).laplace(0, 0.7, (50_000, 1))
    symbols = np.rint(scaled).astype(np.int64)
    found = fit_shrink(scaled, symbols)
    moved = symbols != 0
    expected = (np.abs(symbols) - np.abs(scaled))[moved].mean()
    assert found[0] == pytest.approx(expected, abs=1 / 256)
    assert 0.05 < found[0] < 0.5


def test_shrink_is_kept_where_it_helps_and_dropped_where_it_hurts(calibration, latent):
    stack = [latent.reshape(-1, 4, 1, 1)]
    kept = choose_shrink(calibration.arrays, stack, lambda found: float(np.square(found[0] - stack[0]).sum()))
    np.testing.assert_array_equal(kept["shrink"], calibration.arrays["shrink"])
    louder = choose_shrink(calibration.arrays, stack, lambda found: float(np.square(found[0] - 1.2 * stack[0]).sum()))
    assert (louder["shrink"][0] == 0).all()


def test_restore_is_within_half_a_step(calibration, latent):
    stack = [latent.reshape(-1, 4, 1, 1)]
    found = restore(calibration.arrays, 80, stack, 0.0)[0]
    assert np.abs(found - stack[0]).max() <= calibration.arrays["steps"][79].max() / 2 + 1e-6
