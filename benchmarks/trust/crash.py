"""Crash: batches killed at random times and at each call that touches a file; full disks and folders not writable.

After a kill no input has changed, and every final name is absent, the old file or the complete new one; the same
command with --skip-existing (or --force) then completes the work with the same bytes. Each run is a forked child that
has everything imported already, so that kills fall into the work and not into Python's start.

python benchmarks/trust/crash.py [--cases 500] [--seed 0]
"""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import onnxruntime  # noqa: F401 - a child would spend most of its life importing it
from PIL import Image
from samples import BUNDLES, picture
from trials import Trials, finish, parser

import aeedge.cli.batch.compressor
import aeedge.cli.batch.decompressor  # noqa: F401
from aeedge.cli.main import main as aeedge_main
from aeedge_runtime.files import TEMPORARY_PREFIX

BUNDLE = str(BUNDLES / "tiny-conv")
POLL_S = 0.002
POLLS = 60_000
"""A child that lives longer hangs: two minutes. Polls are counted, for a clock runs on while all this is suspended."""

Tree = dict[str, bytes]


@dataclass(frozen=True)
class Scenario:
    """A command and the folder it works in.

    Attributes:
        name: for the report.
        words: of the command line, run inside the folder.
        again: words that a rerun adds.
        start: files before.
        end: files after an undisturbed run.
    """

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...]
    start: Tree
    end: Tree


def tree_of(folder: Path) -> Tree:
    """All files below a folder but temporary ones."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(TEMPORARY_PREFIX) for part in parts):
            found["/".join(parts)] = path.read_bytes()
    return found


def build(folder: Path, files: Tree) -> Path:
    """Make a folder that holds these files and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def start(folder: Path, words: Sequence[str], prepare: Callable[[], object] = lambda: None) -> int:
    """Start the command in a forked child and return its number.

    Args:
        folder: where it works.
        words: of the command line.
        prepare: called in the child first.
    """
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        prepare()
        code = aeedge_main(list(words))
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """Exit code of a child, or minus the signal; -1000 if it had to be killed because it hung."""
    for _ in range(POLLS):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1000


def kill_at(number: int, counted: list[int]) -> Callable[[], None]:
    """Return a trap: the child kills itself the `number`-th time that our code enters or leaves a file operation."""
    own = tuple(f"/{name}.py" for name in ("files", "decompressor", "compressor", "sources", "outputs", "pathlib"))

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event not in ("c_call", "c_return") or not frame.f_code.co_filename.endswith(own):
            return
        if called.__module__ == "posix" or isinstance(getattr(called, "__self__", None), io.BufferedWriter):
            counted[0] += 1
            if counted[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def set_trap() -> None:
        threading.setprofile(watch)  # for the threads of a batch
        sys.setprofile(watch)

    return set_trap


def operations(folder: Path, scenario: Scenario) -> int:
    """How many places there are to be killed at."""
    counted = [0]
    place, out = os.pipe()

    def prepare() -> None:
        kill_at(0, counted)()
        inner = os._exit

        def report(code: int) -> None:
            os.write(out, str(counted[0]).encode())
            inner(code)

        os._exit = report  # type: ignore[assignment]

    wait(start(build(folder, scenario.start), scenario.words, prepare))
    found = int(os.read(place, 20))
    os.close(place)
    os.close(out)
    return found


def check(trials: Trials, title: str, folder: Path, scenario: Scenario) -> None:
    """Look at what a killed run left, run the command again, and look at that."""
    left = tree_of(folder)
    wrong = [name for name, data in left.items() if data not in (scenario.start.get(name), scenario.end.get(name))]
    lost = [name for name in scenario.start if name not in left]
    code = wait(start(folder, (*scenario.words, *scenario.again)))
    if wrong or lost:
        outcome = f"!incomplete {wrong}, lost {lost}"
    elif code or tree_of(folder) != scenario.end:
        outcome = f"!the rerun ended with {code}"
    else:
        done = sum(left.get(name) == data for name, data in scenario.end.items() if scenario.start.get(name) != data)
        whole = sum(scenario.start.get(name) != data for name, data in scenario.end.items())
        outcome = "after all outputs" if done == whole else "before any output" if not done else "between outputs"
    trials.note(title, outcome)


def scenarios(folder: Path, images: int) -> list[Scenario]:
    """Compress, compress over older streams, decompress, and a packed stream to a new folder."""
    pictures = {}
    for number in range(images):
        buffer = io.BytesIO()
        Image.fromarray(picture(24 + 8 * (number % 3), 40, 3, number)).save(buffer, "PNG")
        pictures[f"in/{number}.png"] = buffer.getvalue()
    options = ("-m", BUNDLE, "--threads", "1")

    def after(files: Tree, *words: str) -> Tree:
        if wait(start(build(folder, files), (*words, *options))):
            raise SystemExit(f"{words} fails undisturbed")
        return tree_of(folder)

    compress = ("compress", "in", "-o", "out", "--verify")
    done = after(pictures, *compress)
    older = after(pictures, *compress, "-q", "5")
    streams = {name.replace("out/", "in/"): data for name, data in done.items() if name.startswith("out/")}
    same = {name: data for name, data in pictures.items() if len(data) and int(name[3:-4]) % 3 == 0}
    packed = {"all.aee": after(same, "compress", "in", "--pack", "all.aee")["all.aee"]}
    skip, force = ("--skip-existing",), ("--force",)
    plans = (
        ("compress", compress, skip, pictures),
        ("compress_force", (*compress, *force), (), older),
        ("decompress", ("decompress", "in", "-o", "out"), skip, streams),
        ("decompress_pack", ("decompress", "all.aee"), skip, packed),
    )
    return [
        Scenario(name, (*words, *options), again, files, after(files, *words)) for name, words, again, files in plans
    ]


def random_kills(folder: Path, plans: Sequence[Scenario], cases: int, chance: random.Random) -> dict[str, Trials]:
    """Kills at times drawn over the length of an undisturbed run."""
    found = {}
    for scenario in plans:
        trials = found[scenario.name] = Trials()
        began = time.monotonic()
        wait(start(build(folder, scenario.start), scenario.words))
        length = time.monotonic() - began
        for number in range(cases // len(plans)):
            child = start(build(folder, scenario.start), scenario.words)
            time.sleep(chance.uniform(0, length))
            os.kill(child, signal.SIGKILL)
            wait(child)
            check(trials, f"{scenario.name} {number}", folder, scenario)
    return found


def kills_at_calls(folder: Path, plans: Sequence[Scenario], most: int) -> dict[str, Trials]:
    """Kills at each call that touches a file, at most so many of a scenario, evenly spread."""
    found = {}
    for scenario in plans:
        trials = found[scenario.name] = Trials()
        total = operations(folder, scenario)
        for number in range(1, total + 1, max(1, -(-total // most))):
            code = wait(start(build(folder, scenario.start), scenario.words, kill_at(number, [0])))
            if code != -signal.SIGKILL:
                trials.note(f"{scenario.name} call {number}", f"!not killed but {code}")
            check(trials, f"{scenario.name} call {number} of {total}", folder, scenario)
    return found


def limit_file_size() -> None:
    """Return a file-size limit that the first output meets."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))


def limit_output_too() -> None:
    """Set the same limit where the report goes to a file as well: a batch then ends while its threads clean up."""
    sys.stdout = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the child's, until its end
    print("a line before", flush=True)
    limit_file_size()


def become_nobody() -> None:
    """Return a user who may read everything and write nothing."""
    os.setgid(65534)
    os.setuid(65534)


def no_room(folder: Path, plans: Sequence[Scenario], times: int) -> Trials:
    """Try runs that cannot write: a non-zero exit, nothing partial, inputs intact; then room, and the rerun works.

    Args:
        folder: where they work.
        plans: what they do.
        times: how often the report has no room either, which is a matter of moments.
    """
    trials = Trials()
    for scenario in plans:
        refusals: dict[str, Callable[[], object]] = {"file size": limit_file_size}
        refusals |= {f"file size, output too, {number}": limit_output_too for number in range(times)}
        if os.getuid() == 0:
            refusals["read-only"] = become_nobody
        for name, prepare in refusals.items():
            code = wait(start(build(folder, scenario.start), scenario.words, prepare))
            fresh = [path.name for path in folder.rglob(f"{TEMPORARY_PREFIX}*")]
            if code not in range(1, 6):
                trials.note(f"{scenario.name} {name}", f"!exit code {code}")
            elif tree_of(folder) != scenario.start or fresh:
                trials.note(f"{scenario.name} {name}", f"!something was left: {fresh}")
            else:
                check(trials, f"{scenario.name} {name}", folder, scenario)
    return trials


def run(cases: int, seed: int, images: int = 6) -> dict[str, Any]:
    """Try everything and return the facts."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        folder = Path(scratch) / "work"
        plans = scenarios(folder, images)
        at_random = random_kills(folder, plans, cases, random.Random(seed))
        at_calls = kills_at_calls(folder, plans, max(1, cases // len(plans)))
        room = no_room(folder, plans, cases)
    return {
        "random_times": {name: trials.facts() for name, trials in at_random.items()},
        "at_calls": {name: trials.facts() for name, trials in at_calls.items()},
        "no_room": room.facts(),
    }


def main() -> int:
    """Run all of it."""
    arguments = parser(__doc__, 500).parse_args()
    return finish("crash", run(arguments.cases, arguments.seed), arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
