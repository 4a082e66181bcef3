"""Metrics of a service in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counts of one service; several may live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("endpoint", "status")
        self._requests = Counter("aeedge_requests", "Answered requests.", labels, registry=self._registry)
        self._seconds = Histogram(
            "aeedge_request_seconds", "Time to the answer.", ("endpoint",), buckets=SECONDS, registry=self._registry
        )
        self._bytes = Counter("aeedge_bytes", "Bytes of bodies.", ("endpoint", "direction"), registry=self._registry)
        self._admitted = Gauge("aeedge_requests_in_progress", "Requests, waiting or not.", registry=self._registry)

    def answered(self, endpoint: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count a request.

        Args:
            endpoint: path of its route.
            status: HTTP status of the answer.
            seconds: from its arrival to the answer.
            received: bytes of its body.
            sent: bytes of the answer's body.
        """
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)
        self._bytes.labels(endpoint, "received").inc(received)
        self._bytes.labels(endpoint, "sent").inc(sent)

    def text(self, admitted: int) -> bytes:
        """Return all metrics as text."""
        self._admitted.set(admitted)
        return generate_latest(self._registry)
