import pytest

pytest.importorskip("prometheus_client")

from aeedge.service.metrics import Metrics


def test_answers_are_counted():
    metrics = Metrics()
    metrics.answered("/compress", 200, 0.03, 100, 7)
    metrics.answered("/compress", 422, 0.001, 5, 50)
    text = metrics.text(3).decode()
    assert 'aeedge_bytes_total{direction="received",endpoint="/compress"} 105.0' in text
    assert 'aeedge_request_seconds_bucket{endpoint="/compress",le="0.05"} 2.0' in text
    assert "aeedge_requests_in_progress 3.0" in text


def test_two_services_do_not_share_counts():
    first, second = Metrics(), Metrics()
    first.answered("/compress", 200, 0.03, 100, 7)
    assert 'status="200"' not in second.text(0).decode()
