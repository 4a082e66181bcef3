"""Runs of a session that captures CUDA graphs, with input and output buffers that never move.

Without capture, a plain run is faster: onnxruntime copies into the array that the caller gets, while fetching from a
device buffer takes two passes over memory (3840x2160 through `photo`'s encoder on an H100: 9 against 29 ms).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

CAPTURED_SHAPES = 8
"""Number of shapes whose CUDA graph is kept; further ones are not captured."""

_GRAPH_ID = "gpu_graph_id"

Feeds = Mapping[str, NDArray[Any]]
_Shapes = tuple[tuple[str, tuple[int, ...], str], ...]


@dataclass
class _Buffers:
    """Inputs and outputs of one shape; `outputs` are bound from the second run on, once their shapes are known."""

    binding: Any
    inputs: dict[str, Any]
    graph_id: int
    outputs: list[Any] | None = None


class CapturedRunner:
    """Runs one session with the option `enable_cuda_graph`, one thread at a time.

    Args:
        runtime: the onnxruntime module.
        inner: its session.
        device: kind of memory, "cuda" or, to test, "cpu".
        index: number of the device.
    """

    def __init__(self, runtime: ModuleType, inner: Any, device: str, index: int) -> None:
        self._runtime, self._inner = runtime, inner
        self._device = device, index
        self._names = [value.name for value in inner.get_outputs()]
        self._lock = threading.Lock()
        self._kept: dict[_Shapes, _Buffers] = {}

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Return the outputs in the order of the graph, as new arrays."""
        with self._lock:
            buffers = self._buffers(feeds)
            for name, values in feeds.items():
                buffers.inputs[name].update_inplace(np.ascontiguousarray(values))
            buffers.binding.synchronize_inputs()
            self._inner.run_with_iobinding(buffers.binding, self._run_options(buffers))
            buffers.binding.synchronize_outputs()
            if buffers.outputs is None:
                self._keep_outputs(buffers)
            return [self._fetched(value) for value in buffers.outputs or ()]

    def _fetched(self, value: Any) -> NDArray[Any]:
        """Return a copy in main memory; for a value already there, `numpy` is a view."""
        fetched: NDArray[Any] = value.numpy()
        return fetched.copy() if self._device[0] == "cpu" else fetched

    def _buffers(self, feeds: Feeds) -> _Buffers:
        """Return the buffers of the feeds' shapes; of shapes that are not captured, only the last one is kept."""
        key = tuple((name, values.shape, values.dtype.str) for name, values in sorted(feeds.items()))
        if key not in self._kept:
            while len(self._kept) > CAPTURED_SHAPES:
                self._kept.popitem()  # the newest: those before it are captured
            self._kept[key] = self._make(feeds)
        return self._kept[key]

    def _make(self, feeds: Feeds) -> _Buffers:
        binding = self._inner.io_binding()
        inputs = {}
        for name, values in feeds.items():
            inputs[name] = self._runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), *self._device)
            binding.bind_ortvalue_input(name, inputs[name])
        for name in self._names:
            binding.bind_output(name, *self._device)
        captured = len(self._kept) < CAPTURED_SHAPES
        return _Buffers(binding, inputs, len(self._kept) + 1 if captured else -1)

    def _keep_outputs(self, buffers: _Buffers) -> None:
        buffers.outputs = buffers.binding.get_outputs()
        buffers.binding.clear_binding_outputs()
        for name, value in zip(self._names, buffers.outputs, strict=True):
            buffers.binding.bind_ortvalue_output(name, value)

    def _run_options(self, buffers: _Buffers) -> Any:
        """Return options that name the CUDA graph of a run; -1 is none, also used until the outputs are bound."""
        options = self._runtime.RunOptions()
        options.add_run_config_entry(_GRAPH_ID, str(-1 if buffers.outputs is None else buffers.graph_id))
        return options
