"""Meters of this process and its machine: resident memory, and energy where the platform counts it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


def resident_bytes() -> int | None:
    """Return the resident memory of this process, or None where the system does not report it."""
    return _status_bytes("VmRSS")


def reset_peak() -> bool:
    """Start a new peak of resident memory; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """Return the largest resident memory since the last reset, or since the start of this process."""
    found = _status_bytes("VmHWM")
    if found is not None or sys.platform == "win32":
        return found
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status_bytes(name: str) -> int | None:
    """Return a field of /proc/self/status; unlike getrusage, it starts from zero in a new program."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None


@dataclass(frozen=True)
class _Counter:
    path: Path
    range_uj: int


class EnergyMeter:
    """Energy of the processor packages (RAPL) in joules, of all that runs on them.

    Args:
        folder: where the kernel shows its energy counters.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._counters = _find_counters(folder)
        self._last = [_read(counter.path) for counter in self._counters]

    @property
    def available(self) -> bool:
        """Whether there is a counter that this user may read."""
        return bool(self._counters)

    def joules(self) -> float:
        """Return the energy since the last call, or since the start; counters that wrapped around are mended."""
        now = [_read(counter.path) for counter in self._counters]
        used = (
            (new - old) % (counter.range_uj + 1)
            for new, old, counter in zip(now, self._last, self._counters, strict=True)
        )
        self._last = now
        return sum(used) / 1e6


def _find_counters(folder: Path) -> Sequence[_Counter]:
    """Return the counters of whole packages (one colon in the name); cores and memory are parts of them."""
    found = []
    for zone in sorted(folder.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            _read(zone / "energy_uj")
            found.append(_Counter(zone / "energy_uj", _read(zone / "max_energy_range_uj")))
        except (OSError, ValueError):
            continue  # most systems let only root read them
    return found


def _read(path: Path) -> int:
    return int(path.read_text())
