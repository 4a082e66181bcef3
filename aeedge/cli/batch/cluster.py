"""Compresses a batch on a Ray cluster: its inputs are spread over actors, each of which loads the bundle once.

An actor that dies is started again and its block of inputs repeated; a stream that is there and valid by then is not
made twice. Only paths and outcomes travel through Ray: actors read the inputs and write the streams themselves.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeedge.cli.batch.compressor import Compressor
from aeedge.cli.batch.jobs import Outcome, Result, attempt, report_outcome
from aeedge.cli.batch.outputs import Job, OutputGuard, is_taken
from aeedge.cli.options.shared import CompressOptions
from aeedge.cli.progress import Progress
from aeedge.sources import Source
from aeedge_runtime import AeedgeError, stream_info
from aeedge_runtime.remote import Location, location

CONNECT_S = 10.0
"""Longest wait for a cluster to answer."""

MOST_BLOCKS = 4096
"""Blocks of inputs: what is repeated when an actor dies, and what Ray keeps books on."""


def compress_on_cluster(jobs: Sequence[Job], compressor: Compressor, options: CompressOptions) -> list[Outcome]:
    """Compress the inputs of jobs to files; a valid stream that exists is skipped unless `--force` is given.

    Args:
        jobs: what to do; inputs and outputs are at paths that every node can reach.
        compressor: that of this process, which knows the inputs.
        options: those of the command; `cluster` says where.

    Returns:
        The outcomes in the order of the jobs, one each.

    Raises:
        AeedgeError: the cluster cannot be reached, or has lost an input.
    """
    source = compressor.codec.bundle.source
    if not isinstance(source, bytes):  # of a folder or file here, the absolute path
        options = replace(options, model=os.fspath(source))
    rows = [_row(number, job, compressor.guard, options.force) for number, job in enumerate(jobs)]
    found: dict[int, Outcome] = {}
    results = sys.stdout
    with Progress(len(jobs)) as progress, redirect_stdout(sys.stderr):  # Ray prints what its daemons say
        for number, outcome in _outcomes(rows, options):
            found[number] = _as_named(outcome, jobs[number])
            with redirect_stdout(results):
                report_outcome(found[number], jobs[number], progress, quiet=options.as_json)
            progress.update(len(found))
    if lost := len(jobs) - len(found):
        raise AeedgeError(f"the cluster returned nothing on {lost} of {len(jobs)} inputs; run the command again")
    return [found[number] for number in range(len(jobs))]


def _row(number: int, job: Job, guard: OutputGuard, force: bool) -> dict[str, Any]:
    if job.source.path is None or job.output is None:
        raise AeedgeError("standard input and output cannot be used on a cluster; name files")
    guard.spare_inputs(job.output)
    return {
        "number": number,
        "input": _absolute(job.source.path),
        "output": _absolute(job.output),
        "existed": is_taken(job.output) and not force,
    }


def _as_named(outcome: Outcome, job: Job) -> Outcome:
    """Return an outcome with the paths of the command in place of the absolute ones that a worker knows."""
    result = outcome.result and replace(outcome.result, output=os.fspath(job.output or ""))
    return replace(outcome, input=os.fspath(job.source.path or ""), result=result)


def _absolute(path: Location) -> str:
    return os.fspath(path.absolute() if isinstance(path, Path) else path)


def _outcomes(rows: Sequence[dict[str, Any]], options: CompressOptions) -> Iterator[tuple[int, Outcome]]:
    import ray
    import ray.data

    address = (options.cluster or "").partition(":")[2] or None
    started = not ray.is_initialized()
    if started:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # the command line reports what matters itself
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        try:
            _require_listener(address or "")
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (OSError, ValueError, RuntimeError) as error:
            raise AeedgeError(f"--on {options.cluster}: cannot be used ({error}); start Ray there first") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        actors = options.jobs or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        inputs = ray.data.from_items(list(rows), override_num_blocks=min(len(rows), MOST_BLOCKS))
        results = inputs.map_batches(
            ClusterWorker,
            fn_constructor_args=(options,),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(actors, len(rows))),
            num_cpus=options.threads or 1,
        )
        for row in results.iter_rows():
            yield int(row["number"]), _outcome(row["outcome"])
    finally:
        if started:
            ray.shutdown()


def _require_listener(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in address:
        socket.create_connection((host, int(port)), CONNECT_S).close()


class ClusterWorker:
    """The compressor of one actor: replaces what is no valid stream, keeps what is.

    Args:
        options: those of the command.
    """

    def __init__(self, options: CompressOptions) -> None:
        alone = replace(options, threads=options.threads or 1, jobs=None, skip_existing=False, force=True)
        guard = OutputGuard((), force=True, skip_existing=False)
        self._compressor = Compressor.load(guard, alone, 1)
        self._force = options.force

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compress the inputs of a batch; their outcomes are JSON."""
        columns = zip(batch["input"], batch["output"], batch["existed"], strict=True)
        outcomes = [self._compress(str(path), str(output), bool(existed)) for path, output, existed in columns]
        return {"number": batch["number"], "outcome": np.array([json.dumps(asdict(found)) for found in outcomes])}

    def _compress(self, path: str, output: str, existed: bool) -> Outcome:
        job = Job(Source(location(path), Path(path.rpartition("/")[2])), location(output))

        def work(job: Job) -> Result | None:
            stream = None if self._force else self._valid(output)
            if stream is None:
                return self._compressor.compress(job)
            return None if existed else self._compressor.result(stream, job.output)  # an actor that died has made it

        return attempt(job, work, self._compressor.stop)

    def _valid(self, output: str) -> bytes | None:
        """Return a stream that exists, is whole and of this bundle."""
        try:
            data = Source(location(output), Path()).read()
            wanted = self._compressor.codec.bundle.manifest.stream_id
            return data if stream_info(data).stream_id == wanted else None
        except AeedgeError:
            return None


def _outcome(text: str) -> Outcome:
    values = json.loads(text)
    result = values.pop("result")
    warnings = tuple(values.pop("warnings"))
    return Outcome(**values, result=Result(**result) if result else None, warnings=warnings)
