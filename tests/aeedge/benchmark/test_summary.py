import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.protocol import Reply
from aeedge.benchmark.summary import LEAST_FOR_P99, noise_percent, percentile, summarize

MS = 1_000_000
CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def reply(*samples_ms, joules=None, **stages_ms):
    samples = [{"encoder_graph": int(value * MS), "other": MS} for value in samples_ms]
    for sample in samples:
        sample.update({name: int(value * MS) for name, value in stages_ms.items()})
    return Reply(5.0, 4.0, 3.0, samples, joules, 10**6, 3 * 10**6, {"encoder": "CPU"}, {"bytes": 96, "psnr_db": 30.0})


def test_means_of_stages_add_up_and_percentiles_are_ordered():
    result = summarize(CASE, [reply(1, 2, 9), reply(2, 3, 4, quantise=2)])
    total, stages = result["total"], result["stages"]
    assert sum(stage["mean_ms"] for stage in stages.values()) == pytest.approx(total["mean_ms"], abs=1e-3)
    assert sum(stage["share_percent"] for stage in stages.values()) == pytest.approx(100, abs=0.1)
    assert list(stages) == ["encoder_graph", "quantise", "other"]
    assert total["best_ms"] <= total["p50_ms"] <= total["p90_ms"] <= total["p95_ms"]
    assert "p99_ms" not in total
    assert (result["samples"], result["bits_per_pixel"]) == (6, 0.25)
    assert (result["peak_memory_mb"], result["work_memory_mb"]) == (3.0, 2.0)


def test_the_99th_percentile_needs_662_samples():
    assert "p99_ms" in summarize(CASE, [reply(*range(LEAST_FOR_P99))])["total"]
    assert "p99_ms" not in summarize(CASE, [reply(*range(LEAST_FOR_P99 - 1))])["total"]


def test_percentiles_interpolate():
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([1.0, 2.0], 90) == pytest.approx(1.9)
    assert percentile([7.0], 95) == 7.0


def test_the_noise_floor_is_what_the_same_thing_differs_by():
    assert noise_percent([[1.0, 1.0], [1.0, 1.0]]) == 0
    assert noise_percent([[1.0], [1.2]]) == pytest.approx(100 * 0.2 / 1.1)
    assert noise_percent([[1.0, 5.0]]) is None


def test_images_per_joule_only_with_a_counter():
    assert summarize(CASE, [reply(1, 1, joules=0.5), reply(1, 1, joules=0.5)])["images_per_joule"] == 4
    assert summarize(CASE, [reply(1, joules=None)])["images_per_joule"] is None
