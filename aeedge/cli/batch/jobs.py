"""Runs one job per input, continues past failures, and summarizes the results.

Each input becomes an `Outcome`; the command's exit code follows from them: an error of a single input keeps its own
code, a batch in which some failed ends with 1.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.batch.outputs import Job
from aeedge.cli.batch.pipeline import Pipeline, choose_jobs
from aeedge.cli.batch.stop import Stop
from aeedge.cli.console import complain, note, print_json, say, warn
from aeedge.cli.errors import TRACEBACK_VARIABLE, explain
from aeedge.cli.options.shared import BatchOptions
from aeedge.cli.progress import Progress
from aeedge.figures import printable, with_name
from aeedge_runtime.notices import collected
from aeedge_runtime.watching import WatchedClock

if TYPE_CHECKING:
    from aeedge_runtime import Codec


@dataclass(frozen=True)
class Result:
    """What one piece of work gave.

    Attributes:
        output: the place written to.
        line: what to say about it.
        facts: the same for `--json`.
    """

    output: str
    line: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """One input and what became of it; `status` is written, skipped or failed."""

    input: str
    status: str
    exit_code: int = 0
    result: Result | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as `--json` shows it."""
        content: dict[str, Any] = {"input": self.input, "status": self.status}
        if self.result:
            content |= {"output": self.result.output, **self.result.facts}
        if self.error is not None:
            content |= {"error": self.error, "exit_code": self.exit_code}
        return content | {"warnings": list(self.warnings)}


ROOM_PIXELS = 1 << 25
"""Pixels in the networks at once, whatever the number of jobs: a pixel takes some 80 bytes there, and larger
images go in blocks, so this bounds the memory by 3 GB; an image of more pixels than this waits until it is alone."""


def load_codec(options: BatchOptions, inputs: int, decoder: str = "full") -> "tuple[Codec, int]":
    """Return the codec that a command's options ask for, and how many of its inputs to work on at once."""
    from aeedge_runtime import Codec
    from aeedge_runtime.inference.processors import default_threads

    jobs, threads = 1, options.threads
    if inputs > 1:
        jobs, threads = choose_jobs(options.jobs, threads, default_threads())
    return Codec.load(options.model, device=options.device, threads=threads, decoder=decoder), jobs


def run_batch(
    tasks: Sequence[Job],
    work: Callable[[Job], Result | None],
    *,
    quiet: bool,
    jobs: int = 1,
    stop: Stop | None = None,
) -> list[Outcome]:
    """Do the work of every task; outcomes are reported and returned in order.

    Args:
        tasks: what to do.
        work: does one task, in any thread; None means that it was skipped.
        quiet: print no result lines (errors and warnings still go to stderr).
        jobs: how many tasks at once.
        stop: ends the work between its stages.
    """
    stop = stop or Stop.of_command()
    outcomes: list[Outcome] = []
    with Progress(len(tasks)) as progress:
        pipeline: Pipeline[Job, Outcome] = Pipeline(lambda task: attempt(task, work, stop), jobs, progress.update, stop)
        with closing(pipeline.run(tasks)) as answers:
            for outcome, task in zip(answers, tasks, strict=True):
                outcomes.append(outcome)
                report_outcome(outcome, task, progress, quiet=quiet)
    return outcomes


def attempt(job: Job, work: Callable[[Job], Result | None], stop: Stop) -> Outcome:
    """Do the work of one job, and return what became of it: what goes wrong with an input ends nothing else."""
    name = os.fspath(job.source.path) if job.source.path else "-"
    with collected() as notices, WatchedClock(stop.check).running():
        try:
            result = work(job)
            outcome = Outcome(name, "written" if result else "skipped", result=result)
        except (click.ClickException, BrokenPipeError):
            raise  # about the command, not about this input
        except Exception as error:  # one bad file, whatever it does to us, must not end the batch
            if os.environ.get(TRACEBACK_VARIABLE):
                raise
            message, code = explain(error)
            outcome = Outcome(name, "failed", exit_code=code, error=message)
    return replace(outcome, warnings=tuple(dict.fromkeys(notices)))


def report_outcome(outcome: Outcome, job: Job, progress: Progress, *, quiet: bool) -> None:
    """Print the warnings, the error or the result line of a job."""
    if outcome.warnings or outcome.error or not quiet:
        progress.clear()
    for text in outcome.warnings:
        warn(f"{job.source.name}: {text}")
    if outcome.error is not None:
        complain(with_name(job.source.name, outcome.error))
    elif outcome.result and not quiet:
        say(f"{job.source.name} -> {printable(outcome.result.output)}: {outcome.result.line}")
    elif outcome.status == "skipped":
        note(f"{job.source.name}: skipped, its output exists")


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return the exit code of a command from its outcomes."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not failed:
        return 0
    return failed[0].exit_code if len(outcomes) == 1 else 1


def report(
    command: str,
    codec: "Codec",
    outcomes: Sequence[Outcome],
    seconds: float,
    *,
    as_json: bool,
    quiet: bool,
    packed: Mapping[str, Any] | None = None,
) -> int:
    """Print the end of a batch and return its exit code.

    Args:
        command: the command's name.
        codec: what was used, for JSON.
        outcomes: what became of the inputs.
        seconds: how long that took.
        as_json: print the one object of `--json`.
        quiet: print nothing, as stdout carries the result.
        packed: facts of the one stream that all inputs went into, for JSON.
    """
    states = [outcome.status for outcome in outcomes]
    totals = {state: states.count(state) for state in ("written", "skipped", "failed")}
    if as_json:
        results = [outcome.to_json() for outcome in outcomes]
        summary = {**totals, "seconds": round(seconds, 3), **(packed or {})}
        manifest = codec.bundle.manifest
        model = {"name": manifest.name, "stream_id": manifest.stream_id, "device": codec.options.device}
        print_json({"command": command, "model": model, "results": results, "summary": summary})
    elif len(outcomes) > 1 and not quiet:
        parts = [f"{totals[state]:,} {state}" for state in totals if totals[state] or state == "written"]
        say(f"{', '.join(parts)} in {seconds:.1f} s")
    return exit_code(outcomes)
