"""Counts what calls on hostile input end in, finds those that hang, and writes the counts with the machine's facts."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from aeedge_runtime import AeedgeError

RESULTS = Path(__file__).parents[1] / "results"
HANG_S = 2.0
"""Processor time of one call: on a busy machine a clock on the wall says nothing."""

WAIT_S = 60.0
"""Time on the wall: for a call that sleeps."""


class HangError(BaseException):
    """A call took longer than HANG_S or WAIT_S; not an Exception, so that nothing on the way swallows it."""


class Trials:
    """Outcomes of many calls.

    Attributes:
        outcomes: name of the error, or what `accepted` said of the result -> number of calls.
        faults: the first calls that ended in something that must not be, with what it was.
        slowest_s: processor time of the longest call.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.fault_count = 0
        self.slowest_s = 0.0
        signal.signal(signal.SIGALRM, _hang)
        signal.signal(signal.SIGPROF, _hang)

    def attempt(self, title: str, call: Callable[[], object], accepted: Callable[[Any], str]) -> None:
        """Make a call.

        Args:
            title: of the case, for a fault.
            call: what to try.
            accepted: name of the outcome where the call returns; one that starts with "!" is a fault.
        """
        start = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, WAIT_S)
        signal.setitimer(signal.ITIMER_PROF, HANG_S)
        try:
            outcome = accepted(call())
        except AeedgeError as error:
            outcome = type(error).__name__
        except HangError:
            outcome = "!hang"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome = f"!untyped {type(error).__name__}"
            title = f"{title}: {error}"[:300]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.slowest_s = max(self.slowest_s, time.process_time() - start)
        self.note(title, outcome)

    def note(self, title: str, outcome: str) -> None:
        """Count an outcome."""
        self.outcomes[outcome] += 1
        if outcome.startswith("!"):
            self.fault_count += 1
            if len(self.faults) < 20:
                self.faults.append(f"{title}: {outcome}")

    @property
    def count(self) -> int:
        """Calls so far."""
        return sum(self.outcomes.values())

    def facts(self) -> dict[str, Any]:
        """For the results file."""
        return {
            "trials": self.count,
            "outcomes": dict(sorted(self.outcomes.items())),
            "faults": self.fault_count,
            "first_faults": self.faults,
            "slowest_ms": round(self.slowest_s * 1e3, 1),
        }


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise HangError


def refused(_result: object) -> str:
    """For calls that must raise."""
    return "!accepted"


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB of 2^20."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the process that started this one had before
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def environment() -> dict[str, Any]:
    """Return what ran this."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: metadata.version(name) for name in ("numpy", "onnxruntime", "pillow")},
    }


def finish(name: str, facts: Mapping[str, Any], out: Path | None = None) -> int:
    """Print the facts, write them to benchmarks/results/trust_NAME.json, and return the exit code."""
    text = json.dumps({"schema": 1, "environment": environment(), **facts}, indent=1)
    path = out or RESULTS / f"trust_{name}.json"
    path.write_text(text + "\n")
    print(text)
    return 1 if _faults(facts) else 0


def _faults(value: object) -> int:
    if not isinstance(value, Mapping):
        return 0
    own = value.get("faults", 0)
    return (own if isinstance(own, int) else 0) + sum(_faults(item) for item in value.values())


def parser(description: str | None, cases: int) -> argparse.ArgumentParser:
    """Options that all trials have."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--cases", type=int, default=cases, help=f"how many, where they are drawn [{cases}]")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--out", type=Path, help="results file [benchmarks/results/trust_*.json]")
    return found
