"""Several inputs at once: while one is read, another is in the networks, a third in the coder, a fourth written.

One thread takes an input from reading to writing. What these stages spend their time in (decoding an image file, a
graph, NumPy on large arrays, waiting for the disk) lets other threads run, so the stages of different inputs overlap
without queues between them, and no more inputs are in memory than there are threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from typing import Generic, TypeVar

from aeedge.cli.batch.stop import Stop
from aeedge_runtime.errors import AeedgeError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

POLL_S = 0.1
"""Longest wait: between two updates of the progress line, and until a thread that waits notices a stop."""

MOST_AHEAD = 256
"""Answers that may wait for an earlier one: they are small, but a million must not pile up behind one large image."""

MOST_JOBS = 8
"""Inputs at once unless the user says otherwise: each takes the memory of an image and its work."""


class Pipeline(Generic[Item, Answer]):
    """Works on items in threads; gives the answers in the order of the items.

    Args:
        work: from item to answer; whatever it raises ends the whole pipeline.
        jobs: threads, at least 1. With one, the calling thread does the work.
        progress: called with the number of finished items; with several jobs ten times a second.
        stop: requested when the pipeline is left early, so that `work`, which checks it, ends soon.
    """

    def __init__(self, work: Callable[[Item], Answer], jobs: int, progress: Callable[[int], None], stop: Stop) -> None:
        self._work, self._jobs, self._progress, self._stop = work, jobs, progress, stop
        self._done = 0
        self._counting = threading.Lock()

    def run(self, items: Sequence[Item]) -> Generator[Answer, None, None]:
        """Yield the answers. If left early, by an error or Ctrl-C, work in progress is stopped first."""
        if self._jobs == 1 or len(items) < 2:
            for item in items:
                self._progress(self._done)
                yield self._attend(item)
            return
        with ThreadPoolExecutor(min(self._jobs, len(items)), thread_name_prefix="aeedge") as pool:
            try:
                yield from self._in_order(pool, items)
            except BaseException:
                self._stop.request()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _in_order(self, pool: ThreadPoolExecutor, items: Sequence[Item]) -> Iterator[Answer]:
        waiting: deque[Future[Answer]] = deque()
        for item in items:
            waiting.append(self._submit(pool, item))
            if len(waiting) == MOST_AHEAD:
                yield self._answer(waiting.popleft())
        while waiting:
            yield self._answer(waiting.popleft())

    def _submit(self, pool: ThreadPoolExecutor, item: Item) -> Future[Answer]:
        try:
            return pool.submit(self._attend, item)
        except RuntimeError as error:
            raise AeedgeError(f"{error}; allow more processes or memory, or use --jobs 1") from error

    def _attend(self, item: Item) -> Answer:
        self._stop.check()
        answer = self._work(item)
        with self._counting:
            self._done += 1
        return answer

    def _answer(self, future: "Future[Answer]") -> Answer:
        while True:
            self._progress(self._done)
            try:
                return future.result(timeout=POLL_S)
            except NotYet:
                if future.done():  # the work itself raised a TimeoutError
                    raise


class Room:
    """Admits work up to a total size; something larger than that only alone.

    Args:
        size: of the room, in whatever unit.
        stop: ends the wait for room.
    """

    def __init__(self, size: int, stop: Stop) -> None:
        self._size, self._stop = size, stop
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait for room of a size, and keep it for the block.

        Raises:
            Stopped: a stop was requested meanwhile.
        """
        with self._changed:
            while self._taken and self._taken + size > self._size:
                self._changed.wait(POLL_S)
                self._stop.check()
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def choose_jobs(jobs: int | None, threads: int | None, cores: int) -> tuple[int, int | None]:
    """Return how many inputs to work on at once, and how many threads of the networks each gets.

    Cores are better spent on different images than inside one operator: so one job per core, up to MOST_JOBS, and the
    cores are shared among them.

    Args:
        jobs: as the user wishes, or None.
        threads: as the user wishes, or None.
        cores: to share.
    """
    jobs = jobs or min(max(cores // (threads or 1), 1), MOST_JOBS)
    return jobs, threads if threads or jobs == 1 else max(cores // jobs, 1)
