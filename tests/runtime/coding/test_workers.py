"""Work side by side: the same streams whatever the number of threads, and none of them left."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import BUNDLES, NAMES, picture

from aeedge_runtime import Codec, StreamError, stream_info
from aeedge_runtime.coding.chunk_io import CHUNKS_AT_ONCE
from aeedge_runtime.coding.networks import MOST_BLOCK_WORKERS, MOST_WORKERS
from aeedge_runtime.coding.workers import Workers
from aeedge_runtime.entropy.chunk import PopRequest, pop_symbols
from aeedge_runtime.inference.session import Session
from aeedge_runtime.inference.session_pool import SerializedGraph
from aeedge_runtime.profiling import OTHER, StageClock, stage
from aeedge_runtime.stream.container import read_stream, write_stream
from aeedge_runtime.stream.layout import Block, Span

THREADS = (1, 2, 3, 16)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bundle, with chunks so small that a picture has many."""
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 300)
    return request.param


def codec_with(name: str, threads: int) -> Codec:
    return Codec.load(BUNDLES / name, threads=threads)


def image_for(codec: Codec, *size: int) -> np.ndarray:
    return picture(*size, codec.bundle.manifest.image.channels)


def test_streams_and_pixels_do_not_depend_on_the_number_of_threads(name: str) -> None:
    codecs = [codec_with(name, threads) for threads in THREADS]
    image = image_for(codecs[0], 301, 70)
    data = codecs[0].compress(image, 80)
    assert stream_info(data).chunks > 2 * CHUNKS_AT_ONCE
    symbols, pixels = codecs[0].decompress_symbols(data), codecs[0].decompress(data)
    for codec in codecs[1:]:
        assert codec.compress(image, 80) == data
        np.testing.assert_array_equal(codec.decompress_symbols(data), symbols)
        np.testing.assert_array_equal(codec.decompress(data), pixels)


@pytest.mark.parametrize("threads", THREADS)
def test_damage_in_any_chunk_is_found(name: str, threads: int) -> None:
    codec = codec_with(name, threads)
    image = image_for(codec, 200, 70)
    stream = read_stream(
        codec.compress(image, 100), geometry_for=lambda header: codec.bundle.geometry, max_pixels=1 << 20
    )
    before = threading.active_count()
    for number in range(len(stream.chunks)):
        chunks = list(stream.chunks)
        chunks[number] = chunks[number][:-2] + bytes(2 - len(chunks[number][-2:]))
        with pytest.raises(StreamError):
            codec.decompress(write_stream(replace(stream, chunks=tuple(chunks))))
    assert threading.active_count() == before


def plan(*chunks: int) -> list[Block]:
    """Blocks of so many chunks."""
    return [Block(range(1), range(number), tuple(Span(0, 1, row, 1) for row in range(number))) for number in chunks]


def graph_threads(codec: Codec, monkeypatch: pytest.MonkeyPatch, image: np.ndarray) -> set[str]:
    """Names of the threads that ran a graph of the prior while an image was compressed and restored."""
    prior = codec._networks.prior(compress=True, workers=codec._networks.workers(plan(100)))
    seen, run = set(), Session.run

    def watched(session: Session, feeds: dict) -> list:
        if session in prior._graphs.values():
            seen.add(threading.current_thread().name)
            time.sleep(0.02)
        return run(session, feeds)

    monkeypatch.setattr(Session, "run", watched)
    codec.decompress(codec.compress(image))
    return seen


def test_many_chunks_are_walked_over_by_as_many_threads_as_may_be_used(monkeypatch) -> None:
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 300)
    codec = codec_with("tiny-groups", 3)
    found = graph_threads(codec, monkeypatch, image_for(codec, 200, 70))
    assert threading.main_thread().name in found
    assert len(found) >= 3


def test_the_threads_of_one_chunk_are_those_of_its_graphs(monkeypatch) -> None:
    codec = codec_with("tiny-groups", 3)
    assert [codec._networks.workers(plan(chunks)) for chunks in (1, 2, 3, 4)] == [1, 1, 3, 3]
    assert [codec._networks.workers(plan(*chunks)) for chunks in ((1, 1), (1, 2), (9, 9))] == [1, 2, 2]
    monkeypatch.setattr(codec._networks._pool, "threads", 100)
    assert [codec._networks.workers(plan(chunks)) for chunks in (1, 3, 4, 400)] == [1, 1, MOST_WORKERS, MOST_WORKERS]
    assert [codec._networks.workers(plan(*chunks)) for chunks in ((1, 1), (400, 9))] == [1, MOST_BLOCK_WORKERS]
    monkeypatch.setattr(codec._networks._pool, "threads", 1)
    assert codec._networks.workers(plan(40)) == 1


def test_times_of_stages_add_up_over_threads(monkeypatch) -> None:
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 300)
    codec, clock = codec_with("tiny-groups", 3), StageClock()
    image = image_for(codec, 200, 70)
    data = codec.compress(image)
    codec.decompress(data)
    start = time.perf_counter_ns()
    with clock.running():
        codec.compress(image)
        codec.decompress(data)
    total = time.perf_counter_ns() - start
    assert {"prior_graph", "hyper_encoder_graph", "entropy_encode", "entropy_decode", "quantise", "dequantise"} <= set(
        clock.times_ns
    )
    assert "waiting" not in clock.times_ns
    assert abs(total - sum(clock.times_ns.values())) < 2_000_000


@pytest.mark.parametrize("chunk_symbols", [300, 1 << 20])
def test_the_coder_has_a_stage_of_its_own_with_one_chunk_and_with_many(chunk_symbols: int, monkeypatch) -> None:
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", chunk_symbols)
    codec, clock = codec_with("tiny-groups", 1), StageClock()
    data = codec.compress(image_for(codec, 90, 70))

    def slow(rows: list[PopRequest]) -> list[np.ndarray]:
        time.sleep(0.01)
        return pop_symbols(rows)

    monkeypatch.setattr("aeedge_runtime.coding.chunk_io.pop_symbols", slow)
    with clock.running():
        codec.decompress(data)
    assert clock.times_ns["entropy_decode"] > 0.02e9
    assert clock.times_ns["entropy_decode"] > clock.times_ns["dequantise"]


@pytest.mark.parametrize("count", [1, 3])
def test_results_and_errors_come_in_order(count: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (5 - number))
        if number in (2, 4):
            raise ValueError(f"number {number}")
        return number

    with Workers(count) as team:
        assert list(team.map(work, range(2))) == [0, 1]
        results = team.map(work, range(6))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ValueError, match="number 2"):
            next(results)


def test_after_an_error_waiting_parts_are_dropped_and_threads_end() -> None:
    before, begun = threading.active_count(), []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.02)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), Workers(2) as team:
        list(team.map(work, range(50)))
    assert len(begun) < 10
    assert threading.active_count() == before


def test_where_no_thread_can_start_the_caller_does_all(monkeypatch) -> None:
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 300)
    codec = codec_with("tiny-groups", 3)
    image = image_for(codec, 200, 70)
    data = codec.compress(image)

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert codec.compress(image) == data
    codec.decompress(data)


AFTER_MAIN = """
import sys, threading
sys.path.insert(0, {tests!r})
from tiny import BUNDLES, picture
import aeedge_runtime.stream.layout
from aeedge_runtime import Codec

aeedge_runtime.stream.layout.CHUNK_SYMBOLS = 300
codec = Codec.load(BUNDLES / "tiny-groups", threads=3)
image = picture(200, 70, 3)
data = codec.compress(image)

def work():
    threading.main_thread().join()
    assert codec.compress(image) == data
    codec.decompress(data)
    print("done", flush=True)

threading.Thread(target=work).start()
"""


def test_a_thread_goes_on_after_the_main_thread_has_ended() -> None:
    code = AFTER_MAIN.format(tests=str(Path(__file__).parents[1]))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout, process.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_stage_of_its_own(error: type[BaseException]) -> None:
    def work(number: int) -> None:
        with stage("a"):
            time.sleep(0.01)
        if number:
            raise error

    clock = StageClock()
    with pytest.raises(error), clock.running(), stage("outer"), Workers(2) as team:
        list(team.map(work, range(4)))
    assert set(clock.times_ns) == {OTHER, "outer", "a"}


def test_ctrl_c_ends_the_work_at_once() -> None:
    """It comes to the caller's thread, and is raised there though the part that is due is still at work elsewhere."""
    interrupted, helping = [], threading.Event()

    def work(number: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            helping.set()
            time.sleep(0.1)
        elif helping.wait(10) and number:
            interrupted.append(number)
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Workers(2) as team:
        list(team.map(work, range(50)))
    assert len(interrupted) == 1
    assert threading.active_count() == before


def test_waiting_is_shared_out_among_the_stages_of_the_work() -> None:
    def work(seconds: float) -> None:
        with stage("a"):
            time.sleep(seconds)
        with stage("b"):
            time.sleep(3 * seconds)

    clock = StageClock()
    with clock.running(), stage("outer"), Workers(2) as team:
        list(team.map(work, [0.01, 0.01]))
    assert 2 < clock.times_ns["b"] / clock.times_ns["a"] < 4
    assert set(clock.times_ns) == {OTHER, "outer", "a", "b"}
    assert 0.03e9 < sum(clock.times_ns.values()) < 0.08e9


def test_threads_take_turns_on_a_device() -> None:
    inside, most = [], []

    class Graph:
        def run(self, feeds: dict) -> list:
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.005)
            inside.pop()
            return []

    turns = SerializedGraph(Graph())
    with Workers(4) as team:
        list(team.map(lambda _: turns.run({}), range(8)))
    assert most == [1] * 8
