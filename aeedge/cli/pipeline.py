"""Several inputs at once: while one is read, another is in the networks, a third in the coder, a fourth written.

Each input is one thread's from reading to writing. What these stages spend their time in (decoding an image file, a
graph, NumPy on large arrays, waiting for the disk) lets other threads run, so the stages of different inputs overlap
without queues between them, and no more inputs are in memory than there are threads.
"""

import ctypes
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from aeedge_runtime.errors import AeedgeError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

POLL_S = 0.1
"""Longest wait of the main thread: between two drawings of the progress, and for Ctrl-C where waits ignore it."""

MOST_AHEAD = 256
"""Answers that may wait for one before them: they are small, but a million need not pile up behind one large image."""

MOST_JOBS = 8
"""Inputs at once unless the user says otherwise: each takes the memory of an image and its work."""


PATIENCE_S, PATIENCE_IN_ALL_S = 5.0, 15.0
"""How long a thread that is to stop may take before it is told again, as what it was told first may have been lost in
code that lets nothing through; and how long until the process goes on, and ends, without waiting for it."""


class Stopped(SystemExit):
    """Raised in a thread whose work nobody waits for any more; as a SystemExit it ends the thread without a word."""


class Pipeline(Generic[Item, Answer]):
    """Works on items in threads; gives the answers in the order of the items.

    Args:
        work: from item to answer; what it raises ends the whole pipeline.
        jobs: threads, at least 1. With one, the calling thread does the work.
        progress: told how many items are finished, whatever their place; with several jobs ten times a second.
    """

    def __init__(self, work: Callable[[Item], Answer], jobs: int, progress: Callable[[int], None]) -> None:
        self._work, self._jobs, self._progress = work, jobs, progress
        self._done = 0
        self._stopping = threading.Event()

    def run(self, items: Sequence[Item]) -> Generator[Answer, None, None]:
        """Yield the answers. When it is left early, by an error or Ctrl-C, work under way is ended first."""
        if self._jobs == 1 or len(items) < 2:
            for item in items:
                self._progress(self._done)
                answer = self._work(item)
                self._done += 1
                yield answer
            return
        inbox: queue.SimpleQueue[tuple[int, Item] | None] = queue.SimpleQueue()
        outbox: queue.SimpleQueue[tuple[int, Answer | None, BaseException | None]] = queue.SimpleQueue()
        threads: list[threading.Thread] = []
        try:
            for number in range(min(self._jobs, len(items))):
                thread = threading.Thread(
                    target=self._serve, args=(inbox, outbox), name=f"aeedge-{number}", daemon=True
                )
                threads.append(thread)
                try:
                    thread.start()
                except RuntimeError as error:  # no room for another: those that run do all the work
                    threads.pop()
                    if not threads:
                        raise AeedgeError(f"{error}; allow more processes or memory, or use --jobs 1") from error
                    break
            yield from self._in_order(items, inbox, outbox)
        except BaseException:
            self._stopping.set()
            _stop(threads, inbox)
            raise
        for _ in threads:
            inbox.put(None)
        for thread in threads:
            thread.join()

    def _serve(
        self,
        inbox: "queue.SimpleQueue[tuple[int, Item] | None]",
        outbox: "queue.SimpleQueue[tuple[int, Answer | None, BaseException | None]]",
    ) -> None:
        with suppress(Stopped):
            while (order := inbox.get()) is not None and not self._stopping.is_set():
                number, item = order
                try:
                    outbox.put((number, self._work(item), None))
                except Exception as error:
                    outbox.put((number, None, error))

    def _in_order(
        self,
        items: Sequence[Item],
        inbox: "queue.SimpleQueue[tuple[int, Item] | None]",
        outbox: "queue.SimpleQueue[tuple[int, Answer | None, BaseException | None]]",
    ) -> Generator[Answer, None, None]:
        waiting: dict[int, Answer] = {}
        given = 0
        for number in range(len(items)):
            while number not in waiting:
                while given < min(number + MOST_AHEAD, len(items)):
                    inbox.put((given, items[given]))
                    given += 1
                self._progress(self._done)
                try:
                    place, answer, error = outbox.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                if error is not None:
                    raise error
                waiting[place] = answer  # type: ignore[assignment]  # without an error there is an answer
                self._done += 1
            yield waiting.pop(number)


def _stop(threads: Sequence[threading.Thread], inbox: "queue.SimpleQueue[tuple[int, Item] | None]") -> None:
    """Ends threads: each at its next step in Python, so that files under temporary names are taken away."""
    for _ in threads:
        inbox.put(None)  # for those that wait for work: they take no step
    running = [thread for thread in threads if thread.ident is not None]
    deadline = time.monotonic() + PATIENCE_IN_ALL_S
    while running and time.monotonic() < deadline:
        for thread in running:
            if thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
        again = time.monotonic() + PATIENCE_S
        while running and time.monotonic() < again:
            running[0].join(POLL_S)
            running = [thread for thread in running if thread.is_alive()]


class Room:
    """Lets in as much at once as there is room for; something larger than all of it only alone.

    Args:
        size: of the room, in whatever unit.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait for room of a size, and keep it for the block."""
        with self._changed:
            while self._taken and self._taken + size > self._size:
                self._changed.wait(POLL_S)  # not for ever: a thread that is to stop must come back to Python
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def choose_jobs(jobs: int | None, threads: int | None, cores: int) -> tuple[int, int | None]:
    """Return how many inputs at once, and how many threads of the networks for each.

    Cores are worth more on different images than inside one operator: so one job a core, up to MOST_JOBS, and the
    cores shared among them.

    Args:
        jobs: as the user wishes, or None.
        threads: as the user wishes, or None.
        cores: to share.
    """
    jobs = jobs or min(max(cores // (threads or 1), 1), MOST_JOBS)
    return jobs, threads if threads or jobs == 1 else max(cores // jobs, 1)
