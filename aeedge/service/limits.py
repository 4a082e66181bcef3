"""What one service accepts at a time, and from whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceLimits:
    """Limits of a service.

    Attributes:
        body_bytes: most bytes of a request.
        pixels: most pixels of an image, padding included.
        concurrent: calls of the codec at once.
        queue: requests that may wait for the codec; bounds the memory by `body_bytes` times this.
        per_client: requests of one client address at once, waiting or not.
        seconds: longest time from the first byte of a request to its answer.
    """

    body_bytes: int = 32 << 20
    pixels: int = 25_000_000
    concurrent: int = 2
    queue: int = 64
    per_client: int = 64
    seconds: float = 30.0


class RefusedError(Exception):
    """A request is turned away before its body is read.

    Args:
        status: HTTP status.
        message: why, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Admission:
    """Counts requests from the moment they arrive to their answer; used by one event loop."""

    def __init__(self, limits: ServiceLimits) -> None:
        self._limits = limits
        self._clients: Counter[str] = Counter()
        self.admitted = 0
        self.closing = False

    @contextmanager
    def of(self, client: str) -> Iterator[None]:
        """Admit a request of a client for the length of the context.

        Raises:
            RefusedError: 503 while the service stops or is full, 429 where the client has too many requests.
        """
        if self.closing:
            raise RefusedError(503, "the service is stopping; try another instance")
        if self._clients[client] >= self._limits.per_client:
            raise RefusedError(
                429, f"{self._limits.per_client} requests of this client are in progress; wait for an answer"
            )
        if self.admitted >= self._limits.concurrent + self._limits.queue:
            raise RefusedError(503, f"{self.admitted} requests are waiting; try again in a second")
        self.admitted += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self.admitted -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
