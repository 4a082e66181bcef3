"""Processors that this process may use: physical cores, within the quotas of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_OWN_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_UNIFIED = ("", "unified")
"""Folders below the mount that may hold version 2 of control groups."""

_DIVIDED = ("cpu,cpuacct", "cpu")
"""The same for the processor controller of version 1."""


def default_threads() -> int:
    """Return how many physical cores this process may use, at least 1."""
    if not hasattr(os, "sched_getaffinity"):
        return max((os.cpu_count() or 2) // 2, 1)
    processors = sorted(os.sched_getaffinity(0))
    cores = {_siblings(processor) for processor in processors}
    return max(min([len(cores), *_quotas()]), 1)


def _siblings(processor: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    try:
        return path.read_text()
    except OSError:
        return str(processor)


def _quotas() -> Iterator[int]:
    """Yield the whole processors that each control group of this process grants, its ancestors included.

    A container may see the path of its group on the host, which is not below its own mount. Its quota is then that of
    the mount itself, which is always among the ancestors.
    """
    for group, names in _groups():
        for root in (_MOUNT / name for name in names):
            for folder in (root / group, *(root / parent for parent in group.parents)):
                quota = _quota(folder)
                if quota is not None:
                    yield quota


def _groups() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the relative path of each control group that may limit processors, and the roots it may be below."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield Path(path.lstrip("/")), _UNIFIED
        elif "cpu" in controllers.split(","):
            yield Path(path.lstrip("/")), _DIVIDED


def _quota(folder: Path) -> int | None:
    """Return the processors that a group grants, rounded up; None without a limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return None
