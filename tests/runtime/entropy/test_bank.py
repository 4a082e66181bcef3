from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from example_tables import CERTAIN_TABLE, gaussian_bank, gaussian_scales, integer_frequencies, make_bank, mixed_bank

from aeedge_runtime.entropy.bank import CERTAIN, ESCAPED, MAGNITUDE, OFFSET, SLOT_MASK, TOTAL, FrequencyBank
from aeedge_runtime.errors import ArgumentError, BundleError


def arrays(**changes):
    found = {
        "bank_frequencies": np.array([[10000, 6383, 1], [16384, 0, 0], [8192, 8192, 0]], np.uint16),
        "bank_sizes": np.array([3, 1, 2], np.uint16),
        "bank_minimum": np.array([-1, 0, 0], np.int16),
        "bank_kind": np.array([OFFSET, CERTAIN, MAGNITUDE], np.uint8),
    }
    for name, change in changes.items():
        change(found[f"bank_{name}"])
    return found


def test_a_valid_bank_loads_and_ignores_other_arrays():
    bank = FrequencyBank.from_arrays(arrays() | {"steps": np.ones((100, 3), np.float32)})
    assert bank.tables == 3
    assert bank.certain.tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["frequencies", "sizes", "minimum", "kind"])
def test_missing_array(name):
    found = arrays()
    del found[f"bank_{name}"]
    with pytest.raises(BundleError, match=f"bank_{name} is missing"):
        FrequencyBank.from_arrays(found)


@pytest.mark.parametrize("name", ["frequencies", "sizes", "minimum", "kind"])
def test_array_of_another_type(name):
    found = arrays()
    found[f"bank_{name}"] = found[f"bank_{name}"].astype(np.int64)
    with pytest.raises(BundleError, match=f"bank_{name} is of type int64"):
        FrequencyBank.from_arrays(found)


@pytest.mark.parametrize("shape", [(0, 3), (257, 3), (3, 0), (3, 257), (3,), (1, 3, 3)])
def test_frequencies_of_an_impossible_shape(shape):
    with pytest.raises(BundleError, match="bank_frequencies has shape"):
        FrequencyBank.from_arrays(arrays() | {"bank_frequencies": np.ones(shape, np.uint16)})


@pytest.mark.parametrize("name", ["sizes", "minimum", "kind"])
def test_arrays_of_different_lengths(name):
    found = arrays()
    found[f"bank_{name}"] = found[f"bank_{name}"][:2]
    with pytest.raises(BundleError, match=f"bank_{name} has shape"):
        FrequencyBank.from_arrays(found)


def assign(place, value):
    def change(array):
        array[place] = value

    return change


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kind": assign(0, 3)}, "table 0 has a kind other than"),
        ({"sizes": assign(0, 0)}, "table 0 has no token"),
        ({"sizes": assign(2, 4)}, "table 2 has no token or more tokens than columns"),
        ({"kind": assign(2, CERTAIN)}, "table 2 is certain but has not exactly one token"),
        ({"kind": assign(1, MAGNITUDE)}, "table 1 has an escape only"),
        ({"frequencies": assign((2, slice(2)), [16384, 0])}, "table 2 has a token of frequency 0"),
        ({"frequencies": assign((2, 2), 1)}, "table 2 has a frequency beyond its last token"),
        ({"frequencies": assign((0, 0), 9999)}, "table 0 does not sum to 16384"),
        ({"minimum": assign(2, 1)}, "table 2 has a minimum but is not an offset table"),
        ({"minimum": assign(0, -32768)}, "table 0 holds symbols beyond 32767"),
        ({"minimum": assign(0, 32767)}, "table 0 holds symbols beyond 32767"),
    ],
)
def test_each_rule_of_the_tables(changes, rule):
    with pytest.raises(BundleError, match=rule):
        FrequencyBank.from_arrays(arrays(**changes))


def test_every_slot_leads_to_the_symbol_whose_interval_holds_it():
    bank = mixed_bank()
    tables = np.arange(bank.tables, dtype=np.uint8)
    lookup = bank.decoder_lookup(tables)
    for table in np.flatnonzero(~bank.certain):
        cumulative, size = bank.cumulative(table), int(bank.sizes[table])
        for token in range(size):
            for slot in (int(cumulative[token]), int(cumulative[token]) + int(bank.frequencies[table, token]) - 1):
                place = int(table) * TOTAL + slot
                expected = ESCAPED if token == size - 1 else bank.minimum[table] + token
                assert lookup.symbols[place] == expected
                assert lookup.steps[place] >> 14 == bank.frequencies[table, token]
                assert lookup.steps[place] & SLOT_MASK == slot - cumulative[token]


def test_cost_is_minus_log2_of_the_frequency_plus_raw_bits():
    bank = make_bank([(MAGNITUDE, 0, np.array([8192, 4096, 4096], np.uint16)), CERTAIN_TABLE])
    symbols = np.array([[0, 1, -1], [2, -300, 0]], np.int16)
    tables = np.array([[0, 0, 0], [0, 0, 1]], np.uint8)
    assert bank.cost_bits(tables, symbols).tolist() == [[1, 3, 3], [18, 18, 0]]


def test_cost_refuses_what_cannot_be_coded():
    bank = make_bank([CERTAIN_TABLE])
    with pytest.raises(ArgumentError, match="certain table"):
        bank.cost_bits(np.zeros(1, np.uint8), np.ones(1, np.int16))
    with pytest.raises(ArgumentError, match="table index 1"):
        bank.cost_bits(np.ones(1, np.uint8), np.zeros(1, np.int16))


def test_lookups_are_filled_once_by_many_threads():
    bank = gaussian_bank(gaussian_scales())
    tables = np.arange(64, dtype=np.uint8)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: bank.decoder_lookup(tables), range(32)))
    assert len({id(lookup) for lookup in found}) == 1
    other = gaussian_bank(gaussian_scales()).decoder_lookup(tables)
    coded = np.repeat(~bank.certain, TOTAL)
    np.testing.assert_array_equal(found[0].steps[:-TOTAL][coded], other.steps[:-TOTAL][coded])
    np.testing.assert_array_equal(found[0].symbols[:-TOTAL][coded], other.symbols[:-TOTAL][coded])


def test_a_bank_does_not_change_with_the_arrays_it_came_from():
    found = arrays()
    bank = FrequencyBank.from_arrays(found)
    found["bank_kind"][:] = CERTAIN
    assert bank.kind[0] == OFFSET
    with pytest.raises(ValueError, match="read-only"):
        bank.kind[0] = CERTAIN


def test_integer_frequencies_keep_every_token():
    assert integer_frequencies(np.array([1.0, 1e-9, 0.5])).min() == 1
