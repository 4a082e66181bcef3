"""Sessions of onnxruntime that run on the requested device, or report why they cannot."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from ..arrays import whole
from ..errors import ArgumentError, BundleError, DeviceError
from ..notices import notice
from .backend import INSTALL_CUDA, installed_backends, load_backend
from .cuda_graphs import CapturedRunner
from .processors import default_threads

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
MOST_THREADS = 1024

FATAL = 4
"""Least severity that onnxruntime logs once a device other than the CPU is requested. Failures reach us as exceptions,
while its log has lines for every session ("No registered plugin EP device found") and every new shape in float16 ("No
execution plans support the graph") although all is well."""

SPIN_US = 12
"""How long an idle worker thread spins, in microseconds: long enough to reach the next operator, not the next call.

On two cores, `photo` is 5 % faster than with threads that sleep at once, and no slower next to a busy process. The
default, tens of milliseconds, is 8 % faster alone, but half as fast next to a busy process, and no core rests between
calls.
"""

_DEVICE = re.compile(r"cpu|auto|cuda(:\d{1,3})?|provider:[A-Za-z0-9_]{1,64}")
_OPENING = threading.RLock()
"""Held while a session is opened, and by a fork: onnxruntime then holds a mutex of its own, on which a child forked at
that moment would deadlock (2 of 150 children did)."""

_RECORD = "session.record_ep_graph_assignment_info"


@dataclass(frozen=True)
class SessionOptions:
    """Device and threads that the caller asks for.

    Attributes:
        device: "cpu", "cuda", "cuda:N", "auto" (CUDA if it works, else CPU with a warning) or "provider:NAME".
        threads: threads inside one operator on the CPU, or over the chunks of a large image; None for the physical
            cores available.
        tf32: let CUDA round float32 products to 10 bits of mantissa: faster, and pixels may differ by more than 1.
        provider_options: further options of the execution provider, passed on as they are.
    """

    device: str = "cpu"
    threads: int | None = None
    tf32: bool = False
    provider_options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ArgumentError: the message names the value.
        """
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ArgumentError(
                f"device: found {self.device!r}, expected 'cpu', 'cuda', 'cuda:N', 'auto' or 'provider:NAME'"
            )
        if self.threads is not None:
            object.__setattr__(self, "threads", whole("threads", self.threads, most=MOST_THREADS))
        if not _are_texts(self.provider_options):
            raise ArgumentError(f"provider_options: found {self.provider_options!r}, expected strings by name, or None")
        if self.provider_options and (self.device == "cpu" or provider_name(self.device) == CPU):
            raise ArgumentError(
                f"provider_options: the device {self.device} takes none; name a provider, as in 'provider:OpenVINO'"
            )
        object.__setattr__(self, "provider_options", dict(self.provider_options))


def _are_texts(options: object) -> bool:
    return isinstance(options, Mapping) and all(isinstance(word, str) for pair in options.items() for word in pair)


_OPEN: weakref.WeakSet[Session] = weakref.WeakSet()


def _abandon_all() -> None:
    for session in list(_OPEN):
        session.abandon()
    _OPEN.clear()


@cache
def _watch_forks() -> None:
    """Keep forked children, once for the process, from destroying the sessions they inherit."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_abandon_all)
        os.register_at_fork(before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_OPENING.release)


class Session:
    """One graph, ready to run; threads may share it.

    Attributes:
        provider: the execution provider that runs it, as the session itself reports.
        nodes: number of operators assigned to each provider; empty before onnxruntime 1.24.
        outputs: names of the graph's outputs.
    """

    def __init__(self, inner: Any, runner: CapturedRunner | None = None) -> None:
        """Take an open session, and its runner if it captures CUDA graphs."""
        self._inner = inner
        self._runner = runner
        # `InferenceSession` looks up the input names before each run; what it wraps does not. See coding.small_images.
        self._inside = getattr(inner, "_sess", inner)
        self.provider: str = inner.get_providers()[0]
        self.nodes: Mapping[str, int] = _assigned_nodes(inner)
        self.outputs: list[str] = [value.name for value in inner.get_outputs()]
        _OPEN.add(self)

    def abandon(self) -> None:
        """Keep this session from ever being destroyed in a process that it did not start in.

        Its threads stayed in the parent, so destroying it would never return, not even when the interpreter exits.
        """
        for kept in (self._inner, self._runner):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs of the graph, in its order.

        Raises:
            DeviceError: onnxruntime failed, usually for lack of memory.
        """
        try:
            if self._runner is not None:
                return self._runner.run(feeds)
            made: list[NDArray[Any]] = self._inside.run(self.outputs, dict(feeds), None)
        except Exception as error:  # onnxruntime's exceptions derive from Exception only
            raise DeviceError(
                f"{self.provider} failed: {_one_line(error)}; try smaller images or device='cpu'"
            ) from error
        return made


def open_session(model: bytes | Path, options: SessionOptions, *, role: str) -> Session:
    """Open a graph on the requested device.

    Args:
        model: bytes of an .onnx file, already verified, or a file of them that only this user can change; external
            weights are refused.
        options: device and threads.
        role: name of the graph, for messages.

    Raises:
        DeviceError: an explicit device cannot be used; the message says what is missing.
        BackendError: onnxruntime is missing or installed twice.
        BundleError: onnxruntime does not accept the graph.
    """
    runtime = load_backend()
    _watch_forks()
    with _OPENING:
        return _open(runtime, model, options, role)


def _open(runtime: ModuleType, model: bytes | Path, options: SessionOptions, role: str) -> Session:
    if options.device == "cpu":
        return _create(runtime, model, options, [CPU], role)
    if options.device == "auto":
        try:
            return _open_provider(runtime, model, options, CUDA, role)
        except DeviceError as error:
            notice(f"device auto uses the CPU: {error}", stacklevel=3)
            return _create(runtime, model, options, [CPU], role)
    name = CUDA if options.device.startswith("cuda") else provider_name(options.device)
    return _open_provider(runtime, model, options, name, role)


def provider_name(device: str) -> str:
    """Return the full name of the provider of "provider:NAME"; the suffix ExecutionProvider is optional."""
    name = device.partition(":")[2]
    return name if name.endswith("ExecutionProvider") else f"{name}ExecutionProvider"


def _open_provider(runtime: ModuleType, model: bytes | Path, options: SessionOptions, name: str, role: str) -> Session:
    if name not in runtime.get_available_providers():
        raise DeviceError(_missing_provider(runtime, name))
    if name == CPU:
        return _create(runtime, model, options, [CPU], role)
    settings = {**_cuda_options(options), **options.provider_options} if name == CUDA else options.provider_options
    runtime.set_default_logger_severity(FATAL)
    with _stdout_to_stderr():
        if name == CUDA and hasattr(runtime, "preload_dlls"):
            runtime.preload_dlls()
        session = _create(runtime, model, options, [(name, dict(settings)), CPU], role)
    if session.nodes and name not in session.nodes:
        raise DeviceError(f"{name} takes none of the operators of {role}, the CPU would run it; use device='cpu'")
    if session.provider != name:
        raise DeviceError(
            f"{name} did not start, {session.provider} would run {role} instead; {_what_is_missing(name)}"
        )
    return session


def _create(
    runtime: ModuleType, model: bytes | Path, options: SessionOptions, providers: list[Any], role: str
) -> Session:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.threads or default_threads()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3  # errors only, and those on stderr
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
    settings.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    if providers != [CPU]:
        settings.add_session_config_entry(_RECORD, "1")
    try:
        inner = runtime.InferenceSession(model, settings, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions derive from Exception only
        if providers != [CPU] and _cpu_accepts(runtime, model):
            raise DeviceError(f"{providers[0][0]} refused {role}: {_one_line(error)}; use device='cpu'") from error
        raise BundleError(
            f"{role}: onnxruntime does not accept this graph ({_one_line(error)}); export again"
        ) from error
    inner._model_bytes = None  # it would keep them for a restart that never happens
    return Session(inner, _runner(runtime, inner, providers))


def _runner(runtime: ModuleType, inner: Any, providers: list[Any]) -> CapturedRunner | None:
    """Return the runner of a session that captures CUDA graphs; others run directly, also on a GPU."""
    if inner.get_providers()[0] != CUDA:
        return None
    settings: Mapping[str, str] = providers[0][1]
    if settings.get("enable_cuda_graph", "0") != "1":
        return None
    return CapturedRunner(runtime, inner, "cuda", int(settings["device_id"]))


def _assigned_nodes(inner: Any) -> dict[str, int]:
    """Return operators per provider, because a provider may register and then take none, which get_providers hides."""
    if not hasattr(inner, "get_provider_graph_assignment_info") or inner.get_providers() == [CPU]:
        return {}
    nodes: dict[str, int] = {}
    for part in inner.get_provider_graph_assignment_info():
        nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    return nodes


def _cpu_accepts(runtime: ModuleType, model: bytes | Path) -> bool:
    try:
        runtime.InferenceSession(model, providers=[CPU], enable_fallback=0)
    except Exception:  # the caller reports the first error
        return False
    return True


def _cuda_options(options: SessionOptions) -> dict[str, str]:
    """Return CUDA settings: an EXHAUSTIVE algorithm search would cost up to a second for every new image size."""
    return {
        "device_id": options.device[len("cuda:") :] if options.device.startswith("cuda:") else "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": str(int(options.tf32)),
    }


def _missing_provider(runtime: ModuleType, name: str) -> str:
    available = ", ".join(runtime.get_available_providers())
    if name == CUDA:
        found = ", ".join(f"{key} {version}" for key, version in installed_backends().items()) or "an unknown build"
        return f"CUDA needs the onnxruntime-gpu wheel, found {found}; run: {INSTALL_CUDA}"
    return f"this onnxruntime has no {name} (it has {available}); install the wheel that brings it"


def _what_is_missing(name: str) -> str:
    if name != CUDA:
        return "a library of that provider is missing, or there is no such hardware; see `aeedge doctor`"
    from .hardware import cuda_fault

    return cuda_fault()


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirect to stderr what native code and onnxruntime print on stdout, which belongs to the caller.

    One thread at a time opens a session; what other threads print during these milliseconds also goes to stderr.
    """
    with contextlib.redirect_stdout(sys.stderr):
        try:
            kept = os.dup(1)
        except OSError:  # no stdout to keep clean
            yield
            return
        try:
            os.dup2(2, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
