"""Several inputs at once: order, overlap, errors and interruption."""

import threading
import time
from contextlib import closing, suppress

import pytest

from aeedge.cli.batch.pipeline import MOST_AHEAD, Pipeline, Room, choose_jobs
from aeedge.cli.batch.stop import Stop, Stopped
from aeedge_runtime import AeedgeError


def silent(_done: int) -> None:
    """Stand in for a progress line."""


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("aeedge")]


def pipeline(work, jobs, progress=silent, stop=None):
    return Pipeline(work, jobs, progress, stop or Stop())


def until_stopped(stop: Stop, limit_s: float = 20) -> None:
    """Work in small steps, as networks do, and ask before each whether to stop."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        stop.check()
        time.sleep(0.002)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_answers_come_in_order(jobs):
    delays = [0.02, 0, 0.01, 0, 0, 0.005]
    seen: list[int] = []

    def work(number: int) -> int:
        time.sleep(delays[number])
        return number**2

    assert list(pipeline(work, jobs, seen.append).run(range(6))) == [0, 1, 4, 9, 16, 25]
    assert seen == sorted(seen)
    assert not own_threads()


def test_items_overlap():
    meeting = threading.Barrier(3, timeout=20)  # none passes unless three are at work at once
    list(pipeline(lambda _: meeting.wait(), 3).run(range(6)))


def test_few_answers_wait_behind_a_slow_item():
    release, started = threading.Event(), []

    def work(number: int) -> int:
        started.append(number)
        if number == 0:
            release.wait(20)
        return number

    def progress(_done: int) -> None:
        if len(started) >= MOST_AHEAD:
            release.set()

    with closing(pipeline(work, 2, progress).run(range(3 * MOST_AHEAD))) as answers:
        assert next(answers) == 0
        assert len(started) <= MOST_AHEAD + 1
        assert list(answers)[-1] == 3 * MOST_AHEAD - 1


def test_an_error_of_the_work_ends_the_pipeline():
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise ValueError("three")
        done.append(number)
        time.sleep(0.01)

    with pytest.raises(ValueError, match="three"):
        list(pipeline(work, 2).run(range(1000)))
    assert len(done) < 50
    assert not own_threads()


def test_an_interruption_ends_work_in_progress_and_work_that_waits():
    stop, ended, begun = Stop(), [], threading.Event()

    def work(number: int) -> None:
        begun.set()
        try:
            until_stopped(stop)
        finally:
            ended.append(number)

    def progress(_done: int) -> None:
        if begun.wait(0.2):
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(pipeline(work, 4, progress, stop).run(range(100)))
    assert time.monotonic() - start < 5
    assert 0 < len(ended) <= 4
    assert not own_threads()


def test_a_pipeline_that_is_left_early_takes_no_further_item():
    stop, taken = Stop(), []

    def work(number: int) -> int:
        taken.append(number)
        if number:
            until_stopped(stop)
        return number

    with closing(pipeline(work, 2, stop=stop).run(range(100))) as answers:
        next(answers)
    assert len(taken) <= 3
    assert not own_threads()


def test_a_stop_that_was_requested_before_ends_a_single_job_too():
    stop = Stop()
    stop.request()
    with pytest.raises(Stopped):
        list(pipeline(lambda item: item, 1, stop=stop).run(range(3)))


def test_work_that_runs_out_of_time_is_an_error_and_no_wait():
    def work(_number: int) -> None:
        raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        list(pipeline(work, 2).run(range(4)))


def test_threads_that_the_system_refuses_are_an_error_that_names_the_option(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(AeedgeError, match="--jobs 1"):
        list(pipeline(lambda item: item, 4).run(range(20)))


def test_a_room_holds_what_fits_and_something_larger_alone():
    room, inside, most = Room(10, Stop()), [], []

    def stay(size: int) -> None:
        with room.taken(size):
            inside.append(size)
            most.append(sum(inside))
            time.sleep(0.005)
            inside.remove(size)

    threads = [threading.Thread(target=stay, args=(size,)) for size in [4, 3, 25, 6, 4, 10, 25, 1]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(taken <= 10 or taken == 25 for taken in most)
    assert len(most) == len(threads)


def test_a_wait_for_room_ends_with_a_stop():
    stop = Stop()
    room, stopped = Room(10, stop), threading.Event()

    def wait() -> None:
        with suppress(Stopped), room.taken(8):
            return
        stopped.set()

    with room.taken(8):
        thread = threading.Thread(target=wait)
        thread.start()
        stop.request()
        thread.join(5)
    assert stopped.is_set()


@pytest.mark.parametrize(
    ("jobs", "threads", "cores", "expected"),
    [
        (None, None, 2, (2, 1)),
        (None, None, 1, (1, None)),
        (None, None, 32, (8, 4)),
        (None, 2, 2, (1, 2)),
        (1, None, 8, (1, None)),
        (3, None, 8, (3, 2)),
        (16, 2, 4, (16, 2)),
    ],
)
def test_cores_are_shared(jobs, threads, cores, expected):
    assert choose_jobs(jobs, threads, cores) == expected
