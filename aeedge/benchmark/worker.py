"""Times one case in its own process; imports nothing early."""

import json
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeedge.benchmark.case import AEEDGE, TORCH, Case
from aeedge.benchmark.meters import EnergyMeter, peak_bytes, reset_peak, resident_bytes
from aeedge.benchmark.protocol import LEAST_SAMPLES, MOST_SAMPLES, Reply, Request

if TYPE_CHECKING:
    from aeedge.benchmark.engines.base import Engine


def main(request: str, reply: str) -> int:
    """Measure, and write the reply, or the error, as JSON.

    Args:
        request: path of a request.
        reply: path to write.
    """
    from aeedge_runtime.errors import AeedgeError

    content = Request.from_dict(json.loads(Path(request).read_text()))
    answer: dict[str, Any]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            measured = measure(content)
        measured.warnings.extend(dict.fromkeys(str(item.message) for item in caught if _is_ours(item.category)))
        answer = asdict(measured)
    except AeedgeError as error:
        answer = {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:  # the process that asked reports it; a traceback there would not help
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} in {Path(place.filename).name} line {place.lineno}: {error}"
        answer = {"error": text, "exit_code": 1}
    Path(reply).write_text(json.dumps(answer))
    return 0


def _is_ours(category: type[Warning]) -> bool:
    from aeedge_runtime.errors import AeedgeWarning

    return issubclass(category, AeedgeWarning)


def measure(request: Request) -> Reply:
    """Load, run once, warm up, time, and check every result of one case."""
    import_ms = _milliseconds(lambda: _import(request.case))
    engine = _open(request)
    load_ms = _milliseconds(engine.load)
    items = _items(request)[: request.effort.samples]  # so that every one of them is timed
    engine.prepare(items)
    base = resident_bytes()
    reset_peak()
    first: list[Any] = []
    first_run_ms = _milliseconds(lambda: first.append(engine.run(0)))
    samples, joules, results = _time(engine, len(items), request, first[0])
    peak = peak_bytes()
    facts = [engine.verify(number, result) for number, result in enumerate(results)]
    return Reply(
        import_ms=import_ms,
        load_ms=load_ms,
        first_run_ms=first_run_ms,
        samples_ns=samples,
        joules=joules,
        base_bytes=base,
        peak_bytes=peak,
        providers=dict(engine.providers()),
        facts=_mean_facts(facts[: len(samples)]),
    )


def _import(case: Case) -> None:
    if case.engine in TORCH:
        import torch  # noqa: F401
    elif case.engine == AEEDGE:
        import aeedge_runtime.codec  # noqa: F401
        from aeedge_runtime.inference.backend import load_backend

        load_backend()
    else:
        import PIL.Image  # noqa: F401


def _open(request: Request) -> "Engine":
    from aeedge.benchmark.engines.factory import open_engine

    return open_engine(request.case, request.bundle, request.run_folder, request.target_psnr_db)


def _items(request: Request) -> list[Any]:
    from aeedge.benchmark.inputs import Material

    return list(Material(Path(request.material)).items())


def _time(engine: "Engine", items: int, request: Request, first: Any) -> tuple[list[dict[str, int]], float | None, Any]:
    """Time calls on the items in turn.

    Returns:
        Time by stage of each call, energy of all in joules, and one result of each item.
    """
    from aeedge.benchmark.engines.base import fingerprint

    results = [first] + [engine.run(number) for number in range(1, items)]
    expected = [fingerprint(result) for result in results]
    effort, turns, passed = request.effort, 0, _stopwatch()
    while passed() < effort.seconds and (turns < effort.warmup or passed() < effort.warmup_seconds):
        number = turns % items
        _check(fingerprint(engine.run(number)), expected[number])
        turns += 1
    meter, joules, passed = EnergyMeter(), 0.0, _stopwatch()
    samples: list[dict[str, int]] = []
    while len(samples) < effort.samples or (passed() < effort.samples_seconds and len(samples) < MOST_SAMPLES):
        if len(samples) >= LEAST_SAMPLES and passed() > effort.seconds:
            break
        number = len(samples) % items
        meter.joules()
        times, result = _timed_call(engine, number)
        joules += meter.joules()
        _check(fingerprint(result), expected[number])
        samples.append(times)
    return samples, joules if meter.available else None, results


def _timed_call(engine: "Engine", number: int) -> tuple[dict[str, int], Any]:
    from aeedge_runtime.profiling import StageClock

    clock = StageClock()
    with clock.running():
        result = engine.run(number)
    return clock.times_ns, result


def _check(found: int, expected: int) -> None:
    from aeedge.benchmark.engines.base import WrongResultError

    if found != expected:
        raise WrongResultError("two timed calls on the same input gave different results; run aeedge verify")


def _mean_facts(facts: list[Any]) -> dict[str, Any]:
    """Return the mean of each fact over the items; None where an item has none."""
    keys = dict.fromkeys(key for item in facts for key in item)
    columns = {key: [item.get(key) for item in facts] for key in keys}
    return {key: None if None in column else sum(column) / len(column) for key, column in columns.items()}


def _stopwatch() -> Callable[[], float]:
    """Return what tells the seconds since now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start


def _milliseconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3
