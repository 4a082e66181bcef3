"""The onnxruntime package: its installed distributions, and the one import for all modules."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module, metadata
from types import ModuleType

import numpy as np

from ..errors import BackendError

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-qnn",
    "onnxruntime-webgpu",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "onnxruntime-training",
)
"""Distributions that all install into one folder, `onnxruntime`, and overwrite each other."""

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"

_KEPT_BYTES = 1 << 24
"""Half of the freed memory that glibc may keep: enough for the work arrays of a photo of some two megapixels."""

INSTALL_CPU = 'pip install "aeedge[cpu]"'
INSTALL_CUDA = 'pip uninstall -y onnxruntime && pip install "aeedge[cuda]"'


def installed_backends() -> dict[str, str]:
    """Return the installed distributions of onnxruntime and their versions."""
    found = {}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def backend_fault(installed: dict[str, str]) -> str:
    """Return what is wrong with the installed distributions and the command that fixes it, or ""."""
    if len(installed) < 2:
        return ""
    wanted = "cpu" if set(installed) <= {"onnxruntime", "onnxruntime-training"} else "cuda"
    if "onnxruntime-gpu" not in installed:
        wanted = "cpu"
    return (
        f"{' and '.join(sorted(installed))} are installed over each other; "
        f'run: pip uninstall -y {" ".join(sorted(installed))} && pip install "aeedge[{wanted}]"'
    )


@lru_cache(maxsize=1)
def load_backend() -> ModuleType:
    """Import onnxruntime at first use and return it.

    Raises:
        BackendError: it is missing, broken, or two of its distributions are installed.
    """
    fault = backend_fault(installed_backends())
    if fault:
        raise BackendError(fault)
    try:
        with _telemetry_off():
            module = import_module("onnxruntime")
    except ImportError as error:
        hint = f'run: {INSTALL_CPU} (or, with an NVIDIA GPU: pip install "aeedge[cuda]")'
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise BackendError(f"onnxruntime is not installed; {hint}") from error
        raise BackendError(f"onnxruntime is installed but does not load ({error}); reinstall it, {hint}") from error
    _keep_freed_memory()
    return module


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory instead of returning the work arrays of each call to the system.

    Returning them cost 2.5 of the 47 ms to decompress a 768x512 image. glibc learns from the largest block freed so far
    (mallopt(3), M_MMAP_THRESHOLD), which need not be touched. Other allocators are not affected.
    """
    np.empty(_KEPT_BYTES, np.uint8)


@contextlib.contextmanager
def _telemetry_off() -> Iterator[None]:
    """Keep onnxruntime from starting telemetry when it is imported, unless the user has set the variable.

    From 1.29 on, it uploads usage data from its own thread, on Linux and macOS too. A codec does not phone home, and
    with that thread a forked child hangs at exit.
    """
    if _NO_TELEMETRY in os.environ:
        yield
        return
    os.environ[_NO_TELEMETRY] = "1"
    try:
        yield
    finally:
        os.environ.pop(_NO_TELEMETRY, None)
