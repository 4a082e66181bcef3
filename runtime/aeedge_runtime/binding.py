"""Runs of a graph on buffers that stay on a device: inputs go there once, outputs come back once, none is made anew.

A plain run of a session on another device allocates buffers for every input and output and copies through them. Here
they are made once for each shape and used again. On the CPU nothing is gained; tests bind there to run this code.
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
"""Shapes whose CUDA graph is kept; runs of further ones are not captured."""

_GRAPH_ID = "gpu_graph_id"

Feeds = Mapping[str, NDArray[Any]]
_Shapes = tuple[tuple[str, tuple[int, ...], str], ...]


@dataclass
class _Buffers:
    """Inputs and outputs of one shape; `outputs` are bound from the second run on, when their shapes are known."""

    binding: Any
    inputs: dict[str, Any]
    graph_id: int
    outputs: list[Any] | None = None


class BoundRunner:
    """Runs one session on device buffers; threads take turns, as the device does.

    Args:
        runtime: the onnxruntime module.
        inner: its session.
        device: kind of memory, "cuda" or "cpu".
        index: number of the device.
        capture: whether the session captures CUDA graphs (`enable_cuda_graph`), which need fixed buffers by shape.
    """

    def __init__(self, runtime: ModuleType, inner: Any, device: str, index: int, *, capture: bool = False) -> None:
        self._runtime, self._inner = runtime, inner
        self._place = device, index
        self._capture = capture
        self._names = [value.name for value in inner.get_outputs()]
        self._lock = threading.Lock()
        self._kept: dict[_Shapes, _Buffers] = {}

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Outputs in the graph's order, as arrays of the caller's own."""
        with self._lock:
            buffers = self._buffers(feeds)
            for name, values in feeds.items():
                buffers.inputs[name].update_inplace(np.ascontiguousarray(values))
            buffers.binding.synchronize_inputs()
            self._inner.run_with_iobinding(buffers.binding, self._run_options(buffers))
            buffers.binding.synchronize_outputs()
            if buffers.outputs is None:
                self._keep_outputs(buffers)
            return [np.array(value.numpy()) for value in buffers.outputs or ()]

    def _buffers(self, feeds: Feeds) -> _Buffers:
        """Those of the feeds' shapes. Without capture only the last shape's are kept: memory stays flat over many."""
        key = tuple((name, values.shape, values.dtype.str) for name, values in sorted(feeds.items()))
        if key not in self._kept:
            while len(self._kept) > (CAPTURED_SHAPES if self._capture else 0):
                self._kept.popitem()  # the newest: those before it are captured
            self._kept[key] = self._make(feeds)
        return self._kept[key]

    def _make(self, feeds: Feeds) -> _Buffers:
        binding = self._inner.io_binding()
        inputs = {}
        for name, values in feeds.items():
            inputs[name] = self._runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), *self._place)
            binding.bind_ortvalue_input(name, inputs[name])
        for name in self._names:
            binding.bind_output(name, *self._place)
        captured = self._capture and len(self._kept) < CAPTURED_SHAPES
        return _Buffers(binding, inputs, len(self._kept) + 1 if captured else -1)

    def _keep_outputs(self, buffers: _Buffers) -> None:
        buffers.outputs = buffers.binding.get_outputs()
        buffers.binding.clear_binding_outputs()
        for name, value in zip(self._names, buffers.outputs, strict=True):
            buffers.binding.bind_ortvalue_output(name, value)

    def _run_options(self, buffers: _Buffers) -> Any:
        """Which CUDA graph a run is; -1, also while its outputs still move, is none."""
        if not self._capture:
            return None
        options = self._runtime.RunOptions()
        options.add_run_config_entry(_GRAPH_ID, str(-1 if buffers.outputs is None else buffers.graph_id))
        return options
