"""Sessions of a bundle's graphs: opened at first use, once, and again in a process that was forked."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from ..bundle.bundle import Bundle
from ..bundle.manifest import Manifest
from ..prior.passes import Graph
from ..profiling import staged
from .memory import return_free_memory
from .processors import default_threads
from .session import CPU, Session, SessionOptions, open_session

FEW_PRODUCTS = 2_000_000
"""Networks at or below this many multiply-adds use one thread; waking a second one costs 11 us, as long as the whole
graph takes for one digit. The two break even at 3 to 7 million."""


@dataclass
class _Sessions:
    """Open sessions of one process."""

    process: int
    lock: threading.RLock = field(default_factory=threading.RLock)
    opened: dict[tuple[str, int], Session] = field(default_factory=dict)


class SerializedGraph:
    """Serializes runs of a graph across threads, because each concurrent run on a GPU needs its own memory."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs of the graph."""
        with self._lock:
            return self._graph.run(feeds)


class SessionPool:
    """Sessions of one bundle on one device; threads may share it.

    Args:
        bundle: where the graphs come from.
        options: device and threads; graphs of the prior always run on the CPU.

    Attributes:
        threads: threads inside one operator.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        self.threads = options.threads or default_threads()
        self._bundle, self._options = bundle, options
        self._few_patches = _few_patches(bundle.manifest)
        self._sessions = _Sessions(os.getpid())

    @property
    def on_cpu(self) -> bool:
        """Whether all graphs run on the CPU."""
        return self._options.device == "cpu"

    def session(self, role: str, patches: int | None = None) -> Session:
        """Return the session of a graph.

        Args:
            role: which graph.
            patches: how many patches one run takes; for a few the session has a single thread.

        Raises:
            DeviceError: the device cannot be used.
            BundleError: the graph is damaged or not accepted.
        """
        few = patches is not None and patches <= self._few_patches.get(role, 0) and self._options.device == "cpu"
        return self.with_threads(role, 1 if few else self.threads)

    def with_threads(self, role: str, threads: int) -> Session:
        """Return the session of a graph that has a number of threads; errors as for `session`."""
        state, key = self._own_sessions(), (role, threads)
        if key in state.opened:
            return state.opened[key]
        with state.lock:
            if key not in state.opened:
                state.opened[key] = self._open(role, threads)
            return state.opened[key]

    def close(self) -> None:
        """Drop all sessions: each ends with the last run that uses it."""
        self._sessions = _Sessions(os.getpid())
        return_free_memory()

    def _own_sessions(self) -> _Sessions:
        """Return the sessions of this process; those of a parent have their threads there."""
        state = self._sessions
        if state.process != os.getpid():
            state = self._sessions = _Sessions(os.getpid())
        return state

    @staged("open_graph")
    def _open(self, role: str, threads: int) -> Session:
        exact = role in self._bundle.manifest.prior.graphs  # the same table indices everywhere: always on the CPU
        options = replace(self._options, threads=threads)
        if exact:
            options = replace(options, device="cpu", provider_options={})
        with self._bundle.graph(role) as model:
            session = open_session(model, options, role=f"{role}.onnx")
        if self._options.device == "auto" and not exact:
            device = "cpu" if session.provider == CPU else "cuda"
            settings = {} if device == "cpu" else self._options.provider_options
            self._options = replace(self._options, device=device, provider_options=settings)
        return session


def _few_patches(manifest: Manifest) -> dict[str, int]:
    """Return by role how many patches a graph runs on one thread; nothing for networks that take whole images.

    Every weight is used once per patch, so the size of a graph gives its multiply-adds.
    """
    sizes = {half: manifest.files[f"{half}.onnx"].bytes for half in manifest.halves}
    return {half: FEW_PRODUCTS // max(size // 4, 1) for half, size in sizes.items()} if manifest.image.patched else {}
