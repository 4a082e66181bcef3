"""Runs the cases of a benchmark, each several times in fresh processes, interleaved."""

import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aeedge.benchmark.case import CLASSICS, Case, Grid
from aeedge.benchmark.engines.base import psnr_or_none
from aeedge.benchmark.inputs import Material, Pixels, golden_material, make_material, usual_pictures
from aeedge.benchmark.protocol import Effort, Reply, Request
from aeedge.benchmark.regression import common_cases
from aeedge.benchmark.summary import summarize
from aeedge.machine import environment
from aeedge_runtime import AeedgeError, ArgumentError, Codec

LOSSLESS_DB = 100.0
"""Stands for the PSNR of images that came back without any error."""

_START = "import sys; from aeedge.benchmark.worker import main; sys.exit(main(*sys.argv[1:]))"


@dataclass(frozen=True)
class Report:
    """Figures of a benchmark.

    Attributes:
        environment: machine, software, bundle and effort.
        results: one per case, see `summarize`.
        warnings: what the measuring processes warned of.
    """

    environment: dict[str, Any]
    results: list[dict[str, Any]]
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; the warnings are not part of it."""
        return {"environment": self.environment, "results": self.results}


class ProcessError(AeedgeError):
    """A measuring process failed; carries the exit code of its error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def benchmark(
    bundle: str,
    grid: Grid,
    *,
    pictures: Sequence[Pixels] = (),
    effort: Effort | None = None,
    run: Path | None = None,
    command: Sequence[str] = (),
    before: Collection[Case] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Measure a bundle.

    Args:
        bundle: place or name.
        grid: what to measure.
        pictures: uint8 [H, W, C] each; none for `usual_pictures`.
        effort: how much.
        run: the run folder that the bundle was exported from, for PyTorch; None for the weights that ship.
        command: the command line, for the record.
        before: cases of a measurement to compare with, or None.
        progress: called with the number of processes done, their total, and the next case.

    Raises:
        AeedgeError: a case cannot run here, or gave a wrong result.
        ArgumentError: no case is one of those of before.
    """
    effort = effort or Effort()
    codec = Codec.load(bundle)
    pictures, source, warnings = _pictures(codec, pictures)
    facts = environment(command)
    with tempfile.TemporaryDirectory(prefix="aeedge-bench-") as folder:
        try:
            requests = _requests(codec, bundle, grid, pictures, effort, run, Path(folder))
        except OSError as error:
            raise AeedgeError(
                f"{folder}: the benchmark inputs could not be written there ({error}); free some space, or set TMPDIR "
                "to another folder"
            ) from error
        if before is not None:
            common_cases(before, [request.case for request in requests])  # now, not after minutes of work
        replies: dict[Case, list[Reply]] = {request.case: [] for request in requests}
        total = effort.repeats * len(requests)
        for number, request in enumerate(_interleaved(requests, effort.repeats)):
            if progress:
                progress(number, total, str(request.case))
            replies[request.case].append(_run(request, Path(folder)))
    manifest = codec.bundle.manifest
    facts["bundle"] = {"name": manifest.name, "stream_id": manifest.stream_id, "hash": codec.bundle.hash}
    facts["effort"] = vars(effort)
    facts["pictures"] = {"count": len(pictures), "source": source, "digest": digest(pictures)}
    warnings += [text for group in replies.values() for reply in group for text in reply.warnings]
    results = [summarize(case, group) for case, group in replies.items()]
    return Report(facts, results, list(dict.fromkeys(warnings)))


def _pictures(codec: Codec, given: Sequence[Pixels]) -> tuple[Sequence[Pixels], str, list[str]]:
    """Return the images to measure with, their source, and warnings."""
    if "encoder" not in codec.bundle.manifest.halves:
        text = "there is no encoder in the bundle: its largest golden stream is timed, and no other"
        return (), "golden", [text]
    if given:
        return given, "given", []
    return *usual_pictures(codec), []


def digest(pictures: Sequence[Pixels]) -> str:
    """Return eight hexadecimal digits by which a comparison recognizes the same images: the CRC-32 of them all."""
    value = 0
    for picture in pictures:
        value = zlib.crc32(picture.tobytes(), zlib.crc32(repr(picture.shape).encode(), value))
    return f"{value:08x}"


def _interleaved(requests: Sequence[Request], repeats: int) -> list[Request]:
    """Return every request `repeats` times, forwards and backwards in turn, so that drift cancels."""
    rounds = [requests if number % 2 == 0 else requests[::-1] for number in range(repeats)]
    return [request for turn in rounds for request in turn]


def _requests(
    codec: Codec,
    bundle: str,
    grid: Grid,
    pictures: Sequence[Pixels],
    effort: Effort,
    run: Path | None,
    folder: Path,
) -> list[Request]:
    """Return a request per case that the bundle's halves allow, with its material in a folder."""
    latents = not {"encode", "decode"}.isdisjoint(grid.operations)
    made: dict[tuple[int, int, int], Material] = {}
    requests: list[Request] = []
    for case in _possible(codec, grid):
        if "encoder" not in codec.bundle.manifest.halves:
            material, case = golden_material(codec, case, folder / f"material-{len(requests)}")
        else:
            shape = (case.batch, case.width, case.height)
            if shape not in made:
                made[shape] = make_material(codec, case, pictures, folder / f"material-{len(made)}", latents=latents)
            material = made[shape]
        target = _target_db(material, case.engine) if case.engine in CLASSICS else None
        place = None if run is None else os.fspath(run)
        requests.append(Request(case, bundle, place, os.fspath(material.folder), effort, target))
    return requests


def _possible(codec: Codec, grid: Grid) -> list[Case]:
    wanted = {"encoder": ("compress", "encode"), "decoder": ("decompress", "decode")}
    halves = codec.bundle.manifest.halves
    operations = [name for half in halves for name in wanted[half] if name in grid.operations]
    if "encoder" not in halves:
        grid = replace(grid, batches=(1,), sizes=((1, 1),))
        operations = [name for name in operations if name == "decompress"]
    cases = [case for case in grid.cases() if case.operation in operations]
    if not cases:
        raise AeedgeError(f"{codec.bundle} holds the {' and '.join(halves)} only, which does none of what was asked")
    return cases


def _target_db(material: Material, engine: str) -> float:
    item = material.items()[0]
    pixels, decoded = item.pixels(), item.decoded()
    if pixels is None or decoded is None:
        raise ArgumentError(
            f"--against {engine}: classic codecs are matched to the bundle's PSNR, and half a bundle has none; "
            "leave it out, or measure the whole bundle"
        )
    found = psnr_or_none(decoded, pixels)
    return LOSSLESS_DB if found is None else found


def _run(request: Request, folder: Path) -> Reply:
    """Run one measuring process.

    Raises:
        ProcessError: it failed; the message says at what.
    """
    question, answer = folder / "request.json", folder / "reply.json"
    question.write_text(json.dumps(request.to_dict()))
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-c", _START, os.fspath(question), os.fspath(answer)]
    found = subprocess.run(command, env=_child_environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if not answer.exists():
        tail = " ".join(found.stderr.split())[-300:]
        raise ProcessError(f"{request.case}: the measuring process ended with code {found.returncode}; {tail}", 1)
    content = json.loads(answer.read_text())
    if "error" in content:
        raise ProcessError(f"{request.case}: {content['error']}", content["exit_code"])
    return Reply(**content)


def _child_environment() -> dict[str, str]:
    """Return this environment; the child finds packages where this process does, wherever it was started from."""
    paths = [path or os.fspath(Path.cwd()) for path in sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
