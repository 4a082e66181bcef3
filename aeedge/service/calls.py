"""Runs calls of the codec in threads, for requests of an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aeedge_runtime.notices import collected
from aeedge_runtime.watching import WatchedClock

Result = TypeVar("Result")


class Abandoned(BaseException):
    """Ends a call whose request is gone; no handler of errors catches it."""


class Calls:
    """A fixed number of threads that run the codec.

    Args:
        concurrent: threads.
    """

    def __init__(self, concurrent: int) -> None:
        self._threads = ThreadPoolExecutor(concurrent, "codec")

    async def run(self, call: Callable[[], Result]) -> tuple[Result, list[str]]:
        """Return the result of a call and its notices; a request that ends early ends the call before its next stage.

        Raises:
            AeedgeError: of the call.
        """
        gone = threading.Event()

        def check() -> None:
            if gone.is_set():
                raise Abandoned

        def work() -> tuple[Result, list[str]]:
            with collected() as notices, WatchedClock(check).running():
                return call(), notices

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except asyncio.CancelledError:
            gone.set()
            raise

    def close(self) -> None:
        """Wait for the calls in progress."""
        self._threads.shutdown()
