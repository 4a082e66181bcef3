import pytest

from aeedge.training.reporting import throughput


def test_laps_count_images_per_second(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])
    clock = throughput.Throughput(16)
    now[0] += 2
    assert clock.tick() == pytest.approx(8)
    assert clock.lap() == {"images_per_second": 8.0, "seconds": 2.0}
    now[0] += 1
    assert clock.tick() == pytest.approx(16)
    assert clock.lap() == {"images_per_second": 16.0, "seconds": 3.0}
