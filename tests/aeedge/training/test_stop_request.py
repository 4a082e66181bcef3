import os
import signal

import pytest

from aeedge.training.stop_request import StopRequest


def test_time_runs_out_only_where_there_is_a_limit():
    assert not StopRequest().expired
    assert StopRequest(1e-9).expired


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_acts(number):
    caught = []
    before = signal.signal(number, lambda *_: caught.append(True))
    try:
        stop = StopRequest()
        with stop.listening():
            os.kill(os.getpid(), number)
            assert stop.interrupted
            assert stop.signal == number
            assert not caught
            os.kill(os.getpid(), number)
            assert caught
    finally:
        signal.signal(number, before)
