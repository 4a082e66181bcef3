import multiprocessing
import pickle
import threading
import time

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import ArgumentError, CanceledError, Codec
from aeedge_runtime.gate import Gate
from aeedge_runtime.watching import watched


class Meeting:
    """Counts threads that are in a block at once."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def stay(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        with self._lock:
            self._now -= 1


def together(count, work):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (2, 2), (None, 6)])
def test_threads_beyond_the_limit_wait(limit, expected):
    gate, meeting = Gate(limit), Meeting()

    def work():
        with gate:
            meeting.stay()

    together(6, work)
    assert meeting.most == expected


CALLS = {
    "compress": lambda codec, pixels, data: codec.compress(pixels),
    "compress_batch": lambda codec, pixels, data: codec.compress_batch([pixels]),
    "decompress": lambda codec, pixels, data: codec.decompress(data),
    "decompress_batch": lambda codec, pixels, data: codec.decompress_batch(data),
    "decompress_pictures": lambda codec, pixels, data: codec.decompress_pictures(data),
    "decompress_image": lambda codec, pixels, data: codec.decompress_image(data),
    "encode": lambda codec, pixels, data: codec.encode(pixels),
    "encode_batch": lambda codec, pixels, data: codec.encode_batch([pixels]),
    "decode": lambda codec, pixels, data: codec.decode(np.zeros((8, 3, 4), np.float32), (24, 32)),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_a_codec_take_turns(name, monkeypatch):
    codec, meeting = Codec.load(BUNDLES / "tiny-conv", threads=1, max_concurrent=1), Meeting()
    pixels = picture(24, 32, 3)
    data = codec.compress(pixels, stored_tiles=False)
    for method in ("encode", "decode_rows", "decode"):
        original = getattr(codec._networks, method)
        monkeypatch.setattr(
            codec._networks, method, lambda *args, run=original, **kw: (meeting.stay(), run(*args, **kw))[1]
        )
    together(4, lambda: CALLS[name](codec, pixels, data))
    assert meeting.most == 1


def test_a_call_inside_a_call_needs_no_second_turn():
    gate = Gate(1)
    with gate, gate:
        pass
    with gate:  # the turn was given back once
        done = []
        thread = threading.Thread(target=lambda: [gate.__enter__(), done.append(1)], daemon=True)
        thread.start()
        time.sleep(0.05)
        assert not done
    thread.join(10)
    assert done


def test_turns_go_to_the_thread_that_waits_longest():
    gate, order = Gate(1), []

    def work(number):
        for _ in range(3):
            with gate:
                order.append(number)

    with gate:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join(10)
    assert order[:4] == [0, 1, 2, 3]
    assert sorted(order[4:8]) == [0, 1, 2, 3]


def test_an_error_gives_the_turn_back():
    gate = Gate(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate:
            raise ZeroDivisionError


def test_a_call_that_waits_can_be_canceled():
    gate, cancel, ended = Gate(1), threading.Event(), []

    def wait():
        with pytest.raises(CanceledError), watched(None, cancel), gate:
            pass
        ended.append(1)

    with gate:
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.02)
        cancel.set()
        thread.join(10)
        assert ended
    together(2, lambda: _enter(gate))  # its turn is not lost


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", True])
def test_other_limits_are_refused(bad):
    with pytest.raises(ArgumentError, match="max_concurrent"):
        Codec.load(BUNDLES / "tiny-conv", max_concurrent=bad)


def test_a_pickled_codec_keeps_its_limit():
    codec = pickle.loads(pickle.dumps(Codec.load(BUNDLES / "tiny-conv", max_concurrent=3)))
    assert codec._gate.max_concurrent == 3


def _enter(gate):
    with gate:
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_has_turns_of_its_own():
    gate, held, go = Gate(1), threading.Event(), threading.Event()

    def hold():
        with gate:
            held.set()
            go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = multiprocessing.get_context("fork").Process(target=_enter, args=(gate,), daemon=True)
    child.start()
    child.join(20)
    go.set()
    thread.join(10)
    assert child.exitcode == 0
