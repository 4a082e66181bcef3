import numpy as np
import pytest

from aeedge.training.objectives.hyperprior import RATE_WORTH
from aeedge_export.tables.hyperprior import ANCHORS, SymbolCounter, dead_zone
from aeedge_runtime.prior.passes import SymbolRequest

pytestmark = pytest.mark.torch


def test_the_counter_takes_hyper_symbols_first_and_then_symbols_by_index():
    counter = SymbolCounter(channels=2)
    counter.exchange(SymbolRequest(np.zeros(4, np.uint8), np.array([0.4, 5.0, -1.0, -1.0], np.float32), last=False))
    assert counter.hyper[0, 255] == 1
    assert counter.hyper[0, 260] == 1
    assert counter.hyper[1, 254] == 2
    index = np.array([0, 0, 7, 7, 63, 63], np.uint8)
    counter.exchange(SymbolRequest(index, np.array([0.2, 0.1, 1.2, -0.8, 400, -2], np.float32), last=False))
    assert counter.scales[0, 0] == 2
    assert counter.scales[7, 1] == 2
    assert counter.scales[63].nonzero()[0].tolist() == [2, 256]
    assert counter.energy[7] == 2
    counter.exchange(SymbolRequest(index[:2], np.array([0.1, 2.25], np.float32), last=True))
    assert counter.scales[0].nonzero()[0].tolist() == [0, 2]
    counter.exchange(SymbolRequest(np.zeros(4, np.uint8), np.zeros(4, np.float32), last=False))
    assert counter.scales.sum() == 8  # the next chunk begins with hyper-symbols again


def test_the_counter_leaves_out_what_is_certain_or_in_the_dead_zone():
    certain, zone = np.arange(64) == 0, np.full(64, 0.7, np.float32)
    counter = SymbolCounter(2, certain, zone)
    counter.exchange(SymbolRequest(np.zeros(2, np.uint8), np.array([0.6, 0.0], np.float32), last=False))
    assert counter.hyper[0, 256] == 1  # hyper-symbols are rounded plainly
    found = counter.exchange(
        SymbolRequest(np.array([0, 9, 9, 9], np.uint8), np.array([3, 0.69, -0.71, 1.2], np.float32), last=True)
    )
    assert found.tolist() == [0, 0, -1, 1]


def test_the_counter_needs_values():
    with pytest.raises(ValueError, match="needs values"):
        SymbolCounter(2).exchange(SymbolRequest(np.zeros(2, np.uint8), None, last=True))


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
