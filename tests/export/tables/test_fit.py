import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeedge_export.tables.fit import (
    MAGNITUDE,
    OFFSET,
    TOTAL,
    WINDOW,
    cluster,
    count_symbols,
    fit_table,
    pack,
    smooth,
    to_frequencies,
)
from aeedge_runtime.entropy.bank import FrequencyBank

pytestmark = pytest.mark.torch


def counts(symbols):
    return count_symbols(np.asarray(symbols)[:, None])[0]


def laplace(scale, count=20_000, seed=0):
    return np.rint(np.random.default_rng(seed).laplace(0, scale, count)).astype(np.int64)


def cost_bits(table, symbols):
    bank = FrequencyBank.from_arrays(pack([table]))
    index = np.zeros(len(symbols), np.uint8)
    return bank.cost_bits(index, np.asarray(symbols, np.int16)).mean()


def entropy_bits(symbols):
    share = np.unique(symbols, return_counts=True)[1] / len(symbols)
    return -(share * np.log2(share)).sum()


def test_counts_by_channel_with_everything_beyond_the_window_last():
    found = count_symbols(np.array([[0, 300], [-2, -256], [0, 255]]))
    assert found[0, WINDOW] == 2
    assert found[0, WINDOW - 2] == 1
    assert found[1, -1] == 2
    assert found[1, 2 * WINDOW] == 1


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=256))
def test_frequencies_sum_to_the_total_and_none_is_zero(share):
    frequencies = to_frequencies(np.array(share))
    assert frequencies.sum() == TOTAL
    assert frequencies.min() >= 1


@pytest.mark.parametrize("scale", [0.05, 0.3, 2.0, 20.0])
def test_a_table_costs_little_more_than_the_entropy(scale):
    symbols = laplace(scale)
    assert cost_bits(fit_table(counts(symbols)), symbols) < entropy_bits(symbols) * 1.01 + 0.005


def test_symmetric_symbols_get_a_magnitude_table_and_others_do_not():
    assert fit_table(counts(laplace(3.0))).kind == MAGNITUDE
    assert fit_table(counts(np.abs(laplace(3.0)))).kind == OFFSET


def test_a_shifted_table_starts_near_its_first_symbol():
    table = fit_table(counts(laplace(2.0) + 100))
    assert table.kind == OFFSET
    assert 50 < table.minimum < 90
    assert table.frequencies.argmax() + table.minimum == 100


def test_symbols_beyond_every_table_escape():
    table = fit_table(counts(laplace(150.0)))
    assert len(table.frequencies) <= 256
    assert 16 < cost_bits(table, np.array([20_000])) < 32


def test_a_symbol_that_was_never_seen_costs_about_what_its_neighbors_suggest():
    symbols = laplace(4.0)
    gap = symbols[symbols != 13]
    assert cost_bits(fit_table(counts(gap)), np.array([13])) < 15
    assert smooth(counts(gap)).min() > 0


def test_clusters_keep_different_shapes_apart_and_cost_few_bits():
    scales = np.geomspace(0.2, 8, 60)
    histograms = np.stack([counts(laplace(scale, 4000, seed)) for seed, scale in enumerate(scales)])
    group = cluster(histograms, np.ones(60), most=12)
    assert len(np.unique(group)) <= 12
    assert group[0] != group[-1]
    for place in (0, 30, 59):
        table = fit_table(histograms[group == group[place]].sum(axis=0))
        symbols = laplace(scales[place], 4000, place)
        assert cost_bits(table, symbols) < entropy_bits(symbols) * 1.03 + 0.01


def test_tables_are_the_same_every_time():
    histograms = np.stack([counts(laplace(scale)) for scale in (0.5, 1, 2, 4)])
    first, second = (cluster(histograms, np.ones(4), most=2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
