"""The machine and the software that a measurement was made with."""

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aeedge_runtime import __version__
from aeedge_runtime.inference.backend import installed_backends, load_backend
from aeedge_runtime.inference.hardware import find_gpus
from aeedge_runtime.inference.processors import default_threads
from aeedge_runtime.inference.session import SPIN_US

SIMD = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "fp16", "i8mm", "neon", "sse4", "sve", "vnni")
"""Starts of the names of processor features that matter to networks."""


def environment(command: Sequence[str]) -> dict[str, Any]:
    """Return facts of this machine, ready for JSON.

    Args:
        command: the command line that measures.
    """
    cpu = _cpu_info()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "cpu": _cpu_model(cpu),
        "cpu_flags": _cpu_flags(cpu),
        "cores": os.cpu_count(),
        "cores_available": _available_cores(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "memory_mb": _memory_mb(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "gpus": [vars(gpu) for gpu in find_gpus()],
        "spin_us": SPIN_US,
        "threads_default": default_threads(),
        **_versions(),
    }


def _versions() -> dict[str, Any]:
    import numpy as np
    import PIL

    runtime = load_backend()
    return {
        "aeedge": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "onnxruntime": runtime.__version__,
        "onnxruntime_build": getattr(runtime, "get_build_info", str)(),
        "onnxruntime_packages": installed_backends(),
        "providers_available": runtime.get_available_providers(),
    }


def _cpu_info() -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in _read("/proc/cpuinfo").splitlines())
    return [(name.strip(), value.strip()) for name, _, value in lines]


def _cpu_model(info: Sequence[tuple[str, str]]) -> str:
    named = next((value for name, value in info if name in ("model name", "Model")), "")
    board = _first_line("/proc/device-tree/model")
    return named or (board or "").strip("\0") or _brand() or platform.processor() or platform.machine()


def _cpu_flags(info: Sequence[tuple[str, str]]) -> list[str]:
    text = next((value for name, value in info if name in ("flags", "Features")), "")
    return sorted(flag for flag in set(text.split()) if flag.startswith(SIMD) or flag.endswith("_vnni"))


def _brand() -> str:
    """Return the processor's name on macOS, or ""."""
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def _available_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6
    except (AttributeError, OSError, ValueError):
        return None


def _first_line(path: str) -> str | None:
    lines = _read(path).splitlines()
    return lines[0] if lines else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
