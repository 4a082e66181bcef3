import numpy as np
import pytest

from aeedge.training.objectives.hyperprior import RATE_WORTH
from aeedge_export.tables.factorized import choose_shrink, factorized_tables, fit_shrink, restore
from aeedge_export.tables.hyperprior import ANCHORS, SymbolCounter, dead_zone
from aeedge_runtime.coding.prior import Asked
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


def test_the_counter_takes_hyper_symbols_first_and_then_symbols_by_index():
    counter = SymbolCounter(channels=2)
    counter.exchange(Asked(np.zeros(4, np.uint8), np.array([0.4, 5.0, -1.0, -1.0], np.float32), last=False))
    assert counter.hyper[0, 255] == 1
    assert counter.hyper[0, 260] == 1
    assert counter.hyper[1, 254] == 2
    index = np.array([0, 0, 7, 7, 63, 63], np.uint8)
    counter.exchange(Asked(index, np.array([0.2, 0.1, 1.2, -0.8, 400, -2], np.float32), last=False))
    assert counter.scales[0, 0] == 2
    assert counter.scales[7, 1] == 2
    assert counter.scales[63].nonzero()[0].tolist() == [2, 256]
    assert counter.energy[7] == 2
    counter.exchange(Asked(index[:2], np.array([0.1, 2.25], np.float32), last=True))
    assert counter.scales[0].nonzero()[0].tolist() == [0, 2]
    counter.exchange(Asked(np.zeros(4, np.uint8), np.zeros(4, np.float32), last=False))
    assert counter.scales.sum() == 8  # the next chunk begins with hyper-symbols again


def test_the_counter_leaves_out_what_is_certain_or_in_the_dead_zone():
    certain, zone = np.arange(64) == 0, np.full(64, 0.7, np.float32)
    counter = SymbolCounter(2, certain, zone)
    counter.exchange(Asked(np.zeros(2, np.uint8), np.array([0.6, 0.0], np.float32), last=False))
    assert counter.hyper[0, 256] == 1  # hyper-symbols are rounded plainly
    found = counter.exchange(
        Asked(np.array([0, 9, 9, 9], np.uint8), np.array([3, 0.69, -0.71, 1.2], np.float32), last=True)
    )
    assert found.tolist() == [0, 0, -1, 1]


def test_the_counter_needs_values():
    with pytest.raises(ValueError, match="needs values"):
        SymbolCounter(2).exchange(Asked(np.zeros(2, np.uint8), None, last=True))


def test_the_package_has_no_other_names():
    import aeedge_export

    with pytest.raises(AttributeError, match="module 'aeedge_export' has no attribute"):
        aeedge_export.exprot_run  # noqa: B018


def test_the_dead_zone_grows_with_what_a_zero_saves():
    counts = np.zeros((64, 257))
    counts[0, :2] = 1023, 0  # 10 bits and a sign: more than the most
    counts[1, :2] = 15, 1  # 3 bits and a sign
    counts[2, :2] = 0, 1023  # a zero is the dear one
    zone = dead_zone(counts)
    worth = RATE_WORTH / 2
    assert zone[:4] == pytest.approx([0.5 + worth * 10, 0.5 + worth * 4, 0.5, 0.5 + worth])


def test_anchors_reach_both_ends():
    assert ANCHORS[0] == 1
    assert ANCHORS[-1] == 100
