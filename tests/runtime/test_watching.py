import threading
import time

import numpy as np
import pytest
from tiny import change_manifest, copy_of, picture

from aeedge_runtime import ArgumentError, CanceledError, Codec, stream_info
from aeedge_runtime.profiling import StageClock, advance, expect, running_clock, stage
from aeedge_runtime.watching import watched


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """A codec that takes images above 64x128 pixels in blocks."""
    folder = copy_of("tiny-hyper", tmp_path_factory.mktemp("b") / "b")
    change_manifest(folder, lambda values: values["limits"].update(band_pixels=8192, overlap=1))
    return Codec.load(folder, threads=1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 600)


PIXELS = picture(300, 70, 3)
BATCH = np.stack([picture(24, 40, 3, seed) for seed in range(20)])

CALLS = {
    "compress": lambda codec, **watch: codec.compress(PIXELS, 70, stored_tiles=False, **watch),
    "compress_batch": lambda codec, **watch: codec.compress_batch(BATCH, 70, stored_tiles=False, **watch),
    "to a size": lambda codec, **watch: codec.compress(PIXELS, max_bytes=9000, stored_tiles=False, **watch),
    "stored": lambda codec, **watch: codec.compress(PIXELS, max_error=0, **watch),
}
READERS = ("decompress", "decompress_batch", "decompress_pictures", "decompress_image")


@pytest.mark.parametrize("name", CALLS)
def test_progress_ends_with_all_units_done(codec, name):
    seen = []
    data = CALLS[name](codec, progress=lambda done, total: seen.append((done, total)))
    assert data == CALLS[name](codec)
    done = [one for one, _ in seen]
    assert done == sorted(done)
    assert seen[-1][0] == seen[-1][1] >= 2 * stream_info(data).chunks - 1
    assert all(one <= total for one, total in seen)
    if name.startswith("compress"):
        assert len({total for _, total in seen}) == 1
        assert seen[-1][1] == 2 * stream_info(data).chunks >= 8


@pytest.mark.parametrize("name", READERS)
def test_progress_of_reading(codec, name):
    data = CALLS["compress"](codec)
    seen = []
    getattr(codec, name)(data, progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {2 * stream_info(data).chunks}
    assert len(seen) > stream_info(data).chunks
    assert seen[-1][0] == seen[-1][1]


def test_progress_counts_the_chunks_of_a_pack(codec):
    data = CALLS["compress_batch"](codec)
    seen = []
    codec.decompress_batch(data, progress=lambda done, total: seen.append(done))
    assert seen[-1] == 2 * stream_info(data).chunks >= 8


@pytest.mark.parametrize("name", CALLS)
def test_a_flag_cancels_where_it_is_set(codec, name):
    cancel, seen = threading.Event(), []

    def progress(done, total):
        seen.append(done)
        cancel.set()

    with pytest.raises(CanceledError) as found:
        CALLS[name](codec, progress=progress, cancel=cancel)
    assert found.value.exit_code == 1
    assert len(seen) == 1 or name == "stored"  # one blob: its only unit is the last
    assert running_clock() is None


@pytest.mark.parametrize("name", READERS)
def test_reading_is_canceled(codec, name):
    data, seen = CALLS["compress"](codec), []
    with pytest.raises(CanceledError):
        getattr(codec, name)(data, progress=lambda done, total: seen.append(done), cancel=lambda: len(seen) == 3)
    assert len(seen) == 3


def test_a_function_cancels_before_anything_runs(codec):
    with pytest.raises(CanceledError):
        codec.compress(PIXELS, cancel=lambda: True)


def test_what_the_function_raises_ends_the_call(codec):
    class Gone(BaseException):
        pass

    def check():
        raise Gone

    with pytest.raises(Gone):
        codec.compress(PIXELS, cancel=check)


def test_another_thread_cancels_a_network_within_a_stage(codec, monkeypatch):
    cancel, runs = threading.Event(), []
    run = codec._networks._run_encoder

    def slow(*args):
        runs.append(1)
        time.sleep(0.05)
        return run(*args)

    monkeypatch.setattr(codec._networks, "_run_encoder", slow)
    threading.Timer(0.12, cancel.set).start()
    with pytest.raises(CanceledError):
        codec.compress(picture(900, 70, 3), 70, stored_tiles=False, cancel=cancel)
    assert 0 < len(runs) <= 6


@pytest.mark.parametrize("watch", [{"progress": 3}, {"cancel": 3}, {"cancel": True}])
def test_other_types_are_refused(codec, watch):
    with pytest.raises(ArgumentError, match=next(iter(watch))):
        codec.compress(PIXELS, **watch)


def test_a_clock_around_keeps_its_times_and_its_check():
    class Ended(StageClock):
        def check(self) -> None:
            raise InterruptedError

    clock = StageClock()
    with clock.running(), watched(None, lambda: False), stage("work"):
        time.sleep(0.002)
    assert clock.times_ns["work"] > 1_000_000
    assert "call" not in clock.times_ns
    with pytest.raises(InterruptedError), Ended().running(), watched(None, lambda: False):
        pass


def test_units_without_a_watch_are_not_counted():
    expect(3)
    advance(3)
    with StageClock().running():
        expect(3)
        advance(3)
