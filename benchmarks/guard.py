"""Regression guard: this tree against a git revision, in turns, on the calls that users wait for.

python benchmarks/guard.py [--against REVISION] [--dense BUNDLE] [--turns N] [--quick]

Both trees run in the same interpreter with the same dependencies and the same bundles, those of this tree, so what is
compared is the code. Each call is timed in alternating turns of two processes that live as long as the run; the
ratio of a pair of turns is free of the machine's drift. A call is slower if even the lower end of the 95 % interval
of the median ratio is above the tolerance. Exits with 1 if one is.

`--dense` names a bundle for 28x28 images, such as the one that `aeedge demo` makes; without it, only photo is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from record import RESULTS, ROOT, save

from aeedge.machine import environment

WORKER = Path(__file__).parent / "guard_worker.py"

TURNS, QUICK_TURNS = 40, 12
"""Pairs of turns for each call."""

TOLERANCE = 0.02
"""Share of time that a call may take more."""


@dataclass(frozen=True)
class Finding:
    """One call in both trees.

    Attributes:
        call: what was timed.
        before_ms: median time of one call at the revision.
        now_ms: the same in this tree.
        ratio: median of the ratios of pairs, now over before.
        low: lower end of its 95 % interval.
        high: upper end.
        slower: whether it is slower beyond noise.
    """

    call: str
    before_ms: float
    now_ms: float
    ratio: float
    low: float
    high: float
    slower: bool


class Worker:
    """A process that times calls of one tree.

    Args:
        tree: root of the sources.
        arguments: of the worker script.
    """

    def __init__(self, tree: Path, arguments: Sequence[str]) -> None:
        paths = os.pathsep.join(map(str, (tree, tree / "export", tree / "runtime")))
        self._process = subprocess.Popen(
            [sys.executable, os.fspath(WORKER), *arguments],
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.calls: list[str] = self._answer()

    def time(self, call: str) -> float:
        """Return the milliseconds of one call, the mean of a turn."""
        if self._process.stdin is None:
            raise SystemExit("the worker has no input")
        self._process.stdin.write(call + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _answer(self) -> object:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("a worker has ended; its error is above")
        return json.loads(line)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median of a population, from a sample (order statistics, normal approximation).

    Args:
        values: at least 6 numbers.
    """
    ordered, count = sorted(values), len(values)
    reach = 1.96 * math.sqrt(count) / 2
    first = max(math.floor(count / 2 - reach), 0)
    return ordered[first], ordered[count - 1 - first]


def judge(call: str, before: Sequence[float], now: Sequence[float], tolerance: float = TOLERANCE) -> Finding:
    """Compare the times of one call, in milliseconds, of which those at the same place are a pair."""
    ratios = [ours / theirs for ours, theirs in zip(now, before, strict=True)]
    low, high = interval(ratios)
    return Finding(
        call=call,
        before_ms=round(statistics.median(before), 4),
        now_ms=round(statistics.median(now), 4),
        ratio=round(statistics.median(ratios), 4),
        low=round(low, 4),
        high=round(high, 4),
        slower=low > 1 + tolerance,
    )


def compare(before: Worker, now: Worker, turns: int) -> Iterator[Finding]:
    """Time every call that both trees have."""
    for call in now.calls:
        if call not in before.calls:
            continue
        times: dict[Worker, list[float]] = {before: [], now: []}
        for turn in range(turns):
            for worker in (before, now) if turn % 2 == 0 else (now, before):
                times[worker].append(worker.time(call))
        yield judge(call, times[before], times[now])


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check a revision out into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="aeedge-guard-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--detach", "--quiet", os.fspath(tree), revision)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", os.fspath(tree))


def git(*words: str) -> str:
    """Run git in this tree and return what it prints."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Compare, print, save; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="HEAD~1", metavar="REVISION", help="what to compare with")
    parser.add_argument("--dense", metavar="BUNDLE", help="bundle for 28x28 images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=TURNS, help="pairs of turns for each call, at least 6")
    parser.add_argument("--quick", action="store_true", help="fewer turns, for a try")
    parser.add_argument("--out", type=Path, default=RESULTS / "guard.json")
    chosen = parser.parse_args()
    turns = QUICK_TURNS if chosen.quick else max(chosen.turns, 6)
    arguments = [os.fspath(ROOT / "runtime" / "aeedge_runtime" / "bundles" / "photo"), str(chosen.threads)]
    arguments += [os.fspath(Path(chosen.dense).absolute())] if chosen.dense else []
    findings: list[Finding] = []
    with ExitStack() as stack:
        tree = stack.enter_context(checkout(chosen.against))
        workers = [Worker(place, arguments) for place in (tree, ROOT)]
        for worker in workers:
            stack.callback(worker.close)
        for found in compare(workers[0], workers[1], turns):
            findings.append(found)
            print(
                f"{found.call:24}{found.before_ms:10.3f} {found.now_ms:10.3f} ms   ratio {found.ratio:.3f} "
                f"({found.low:.3f} to {found.high:.3f}){'  SLOWER' if found.slower else ''}",
                flush=True,
            )
    revisions = {"before": git("rev-parse", chosen.against), "now": git("rev-parse", "HEAD")}
    facts = {
        "turns": turns,
        "tolerance": TOLERANCE,
        "threads": chosen.threads,
        "environment": environment([Path(word).name for word in sys.argv]),
    }
    save(chosen.out, {**revisions, **facts, "calls": [asdict(found) for found in findings]})
    return int(any(found.slower for found in findings))


if __name__ == "__main__":
    sys.exit(main())
