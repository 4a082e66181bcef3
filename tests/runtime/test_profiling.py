import threading
import time

import pytest

from aeedge_runtime.profiling import OTHER, StageClock, stage, staged

MS = 1_000_000


@staged("outer")
def outer() -> str:
    time.sleep(0.004)
    with stage("inner"):
        time.sleep(0.002)
    return "done"


def test_stages_add_up_and_inner_time_is_not_counted_twice() -> None:
    clock = StageClock()
    start = time.perf_counter_ns()
    with clock.running():
        assert outer() == "done"
        assert outer() == "done"
    total = time.perf_counter_ns() - start
    assert set(clock.times_ns) == {OTHER, "outer", "inner"}
    assert clock.times_ns["outer"] >= 8 * MS
    assert clock.times_ns["inner"] >= 4 * MS
    assert abs(total - sum(clock.times_ns.values())) < MS


def test_without_a_clock_nothing_is_kept() -> None:
    assert outer() == "done"
    clock = StageClock()
    with clock.running():
        pass
    assert outer() == "done"
    assert set(clock.times_ns) == {OTHER}


def test_a_clock_sees_its_own_thread_only() -> None:
    clock = StageClock()
    with clock.running():
        thread = threading.Thread(target=outer)
        thread.start()
        thread.join()
    assert set(clock.times_ns) == {OTHER}


def test_an_error_closes_its_stage() -> None:
    clock = StageClock()
    with clock.running():
        with pytest.raises(ValueError, match="broken"), stage("failing"):
            raise ValueError("broken")
        with stage("next"):
            pass
    assert set(clock.times_ns) == {OTHER, "failing", "next"}
