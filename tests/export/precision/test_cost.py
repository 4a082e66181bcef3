from dataclasses import replace

import numpy as np
import pytest

from aeedge_export.checks.parity import Check
from aeedge_export.precision import cost as price_module
from aeedge_export.precision.cost import GraphPrice, RatePoint, Timing, check_rates, price_of
from aeedge_runtime.inference.session import SessionOptions

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]


def timing(speed, noise=0.05):
    return Timing(10.0, 10.0 / speed, speed, noise)


def graph_price(speed, noise=0.05):
    return GraphPrice("encoder", "int8", timing(speed, noise), 4_000_000, 1_000_000, 7, ("Conv_1",))


@pytest.mark.parametrize(
    ("speed", "noise", "gains"), [(1.5, 0.05, True), (1.04, 0.05, False), (1.015, 0.0, False), (0.7, 0.1, False)]
)
def test_a_ratio_within_the_noise_is_no_gain(speed, noise, gains):
    price = price_of(points(), [graph_price(speed, noise)], 2)
    assert price.graphs[0].timing.gains is gains
    assert ("NO GAIN" not in "\n".join(price.lines())) is gains
    assert "1 of 8 layers left in float" in price.lines()[0]


def test_each_graph_is_timed_right_after_the_other(chain, monkeypatch):
    model, feeds = chain
    order = []

    def milliseconds(session, feed):
        order.append(session)
        return 2.0 if session is order[0] else 1.0

    monkeypatch.setattr(price_module, "_milliseconds", milliseconds)
    data = model.SerializeToString()
    timing = price_module.time_graphs(data, data, feeds[0], SessionOptions(threads=1), turns=5)
    assert order == order[:2] * 10
    assert order[0] is not order[1]
    assert (timing.fp32_ms, timing.variant_ms, timing.speed, timing.noise) == (2.0, 1.0, 2.0, 0.0)


def test_a_variant_that_is_neither_faster_nor_smaller_is_no_gain_at_all():
    smaller = price_of(points(), [graph_price(1.0)], 2).lines()[-1]
    assert "NO GAIN in time on this machine: take it for its size" in smaller
    larger = replace(graph_price(1.0), variant_bytes=3_900_000)
    assert "NO GAIN in time or size on this machine" in price_of(points(), [larger], 2).lines()[-1]


def points(growth=1.0, loss=1.0, undecoded=0):
    return [
        RatePoint(
            quality,
            (quality * 1000, round(quality * 1000 * growth)),
            (900 / quality, loss * 900 / quality),
            5000,
            10,
            undecoded,
            0.2,
        )
        for quality in price_module.QUALITIES
    ]


def test_the_price_of_ten_percent_more_bytes_and_of_a_tenth_of_a_decibel():
    assert price_of(points(growth=1.1), [], 1).bd_rate_percent == pytest.approx(10, abs=0.5)
    assert price_of(points(), [], 1).bd_rate_percent == pytest.approx(0, abs=1e-6)
    assert price_of(points(loss=10**0.01), [], 1).psnr_change_db == pytest.approx(-0.1, abs=0.01)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (points(undecoded=1), "symbols that the other bundle decodes otherwise"),
        (points(growth=2), "payload growth"),
        (points(loss=3), "PSNR loss"),
        (points(loss=float("nan")), "PSNR loss"),
    ],
)
def test_every_limit_can_be_missed(found, missed):
    parity = check_rates(found, "fp16", [np.zeros((8, 8, 3), np.uint8)])
    assert [check.name for check in parity.checks if not check.passed] == [missed]
    assert isinstance(parity.checks[0], Check)
