"""Several inputs at once: order, overlap, errors, interruption, and that threads do not take each other's notices."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing, contextmanager

import pytest
from PIL import Image

from aeedge.cli import pipeline
from aeedge.cli.pipeline import MOST_AHEAD, Pipeline, Room, Stopped, choose_jobs
from aeedge_runtime import AeedgeError, AeedgeWarning, Codec
from aeedge_runtime.notices import collected, notice


def silent(_done: int) -> None:
    """Stands for a progress line."""


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("aeedge-")]


@contextmanager
def stopped_at_first_answer(work):
    """Leaves a pipeline of two threads and a hundred items as soon as there is an answer."""
    with closing(Pipeline(work, 2, silent).run(range(100))) as answers:
        next(answers)
        yield


def test_a_thread_that_loses_its_stop_takes_no_further_item(monkeypatch):
    """The exception may arrive where Python lets none through, such as a callback of a weak reference."""
    monkeypatch.setattr(pipeline, "PATIENCE_S", 0.2)
    taken, leave = [], threading.Event()

    def work(number: int) -> int:
        taken.append(number)
        if number:
            try:
                while not leave.is_set():
                    time.sleep(0.001)
            except Stopped:  # lost
                pass
        return number

    with stopped_at_first_answer(work):
        time.sleep(0.05)
        before = len(taken)
    assert len(taken) == before
    assert not own_threads()


def test_a_thread_that_takes_no_notice_is_told_again_and_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(pipeline, "PATIENCE_S", 0.05)
    monkeypatch.setattr(pipeline, "PATIENCE_IN_ALL_S", 0.5)
    told, leave = [], threading.Event()

    def work(number: int) -> int:
        while number and not leave.is_set():
            try:
                time.sleep(0.001)
            except Stopped:
                told.append(number)
        return number

    start = time.monotonic()
    with stopped_at_first_answer(work):
        time.sleep(0.05)
    assert time.monotonic() - start < 5
    assert len(told) > 2
    leave.set()
    for thread in own_threads():
        thread.join(10)


def test_threads_of_a_batch_find_their_modules_imported(conv):
    options = {"jobs": 2, "threads": None, "model": str(conv), "device": "cpu"}
    words = f"import sys; from aeedge.cli.batch import load_codec; load_codec({options}, 2); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    needed = {"onnxruntime", "aeedge_runtime.images.modes", "aeedge_runtime.images.save", "PIL.JpegImagePlugin"}
    assert needed <= set(done.stdout.split())


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_answers_come_in_order(jobs):
    delays = [0.02, 0, 0.01, 0, 0, 0.005]
    seen: list[int] = []

    def work(number: int) -> int:
        time.sleep(delays[number])
        return number**2

    assert list(Pipeline(work, jobs, seen.append).run(range(6))) == [0, 1, 4, 9, 16, 25]
    assert seen == sorted(seen)
    assert not own_threads()


def test_items_overlap():
    meeting = threading.Barrier(3, timeout=20)  # nobody passes unless three are at work at once
    list(Pipeline(lambda _: meeting.wait(), 3, silent).run(range(6)))


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

    with closing(Pipeline(work, 2, progress).run(range(3 * MOST_AHEAD))) as answers:
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
        list(Pipeline(work, 2, silent).run(range(1000)))
    assert len(done) < 50
    assert not own_threads()


def test_an_interruption_ends_work_under_way_and_what_it_would_clean_up_is_cleaned_up():
    cleaned: list[int] = []
    begun = threading.Event()

    def work(number: int) -> None:
        try:
            begun.set()
            for _ in range(2000):
                time.sleep(0.005)
        finally:
            cleaned.append(number)

    def progress(_done: int) -> None:
        if begun.wait(0.2):
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(Pipeline(work, 4, progress).run(range(100)))
    assert time.monotonic() - start < 5
    assert cleaned
    assert not own_threads()


def test_threads_that_wait_for_work_end_too():
    begun = threading.Event()

    def work(number: int) -> None:
        begun.set()
        for _ in range(2000 * (number == 0)):
            time.sleep(0.005)

    def progress(done: int) -> None:
        if done:  # the second item is finished, so its thread waits
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Pipeline(work, 2, progress).run(range(2)))
    assert not own_threads()


def test_a_room_holds_what_fits_and_something_larger_alone():
    room, inside, most = Room(10), [], []

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


def test_notices_are_warnings_unless_somebody_collects_them_in_this_thread():
    with pytest.warns(AeedgeWarning, match="one") as caught:
        notice("one")
    assert caught[0].filename == __file__
    with warnings.catch_warnings(), collected() as found:
        warnings.simplefilter("error")
        notice("two")
        with collected() as inner:
            notice("three")
        other = threading.Thread(target=lambda: found.append("nothing") if _warns() else None)
        other.start()
        other.join()
    assert (found, inner) == (["two"], ["three"])


def _warns() -> bool:
    """Whether a notice in this thread goes to another's collector."""
    try:
        notice("four")
    except AeedgeWarning:
        return False
    return True


def folder_of(draw, tmp_path, count: int = 12):
    """Images of several kinds, every fourth gray (which gives a warning), one damaged, one no image."""
    for number in range(count):
        path = draw(tmp_path / "in" / f"{number:02}.png", width=40 + number)
        if number % 4 == 3:
            Image.open(path).convert("L").save(path)
    content = (tmp_path / "in" / "05.png").read_bytes()
    (tmp_path / "in" / "05a.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "in" / "07a.png").write_bytes(b"no image")
    return tmp_path / "in"


def test_jobs_change_neither_files_nor_reports(aeedge, draw, conv, tmp_path):
    images = folder_of(draw, tmp_path)
    found = {}
    for jobs in (1, 4):
        out, back = tmp_path / f"out{jobs}", tmp_path / f"back{jobs}"
        there = aeedge("compress", images, "-m", conv, "-o", out, "--jobs", jobs, "--verify")
        data = aeedge("compress", images, "-m", conv, "-o", tmp_path / f"json{jobs}", "--jobs", jobs, "--json").json
        again = aeedge("decompress", out, "-m", conv, "-o", back, "--jobs", jobs)
        assert (there.code, again.code) == (1, 0)
        files = {path.name: path.read_bytes() for folder in (out, back) for path in sorted(folder.iterdir())}
        texts = [
            text.replace(str(tmp_path), "").replace(f"out{jobs}", "out").replace(f"back{jobs}", "back")
            for text in (there.text, there.stderr, again.text)
        ]
        texts = [[line for line in text.splitlines() if " in " not in line] for text in texts]
        results = [(result["input"], result["status"], result["warnings"]) for result in data["results"]]
        found[jobs] = (files, texts, results)
    assert found[1] == found[4]
    assert len(found[1][0]) == 24
    assert [bool(row[2]) for row in found[4][2] if row[1] == "written"] == [number % 4 == 3 for number in range(12)]


def test_skipping_and_forcing_with_jobs(aeedge, draw, conv, tmp_path):
    images = folder_of(draw, tmp_path, 6)
    (images / "05a.png").unlink()
    (images / "07a.png").unlink()
    words = ("compress", images, "-m", conv, "-o", tmp_path / "out", "--jobs", 3)
    assert aeedge(*words).code == 0
    refused = aeedge(*words)
    assert refused.code == 1
    assert len(refused.errors) == 6
    assert aeedge(*words, "--skip-existing").stderr.count("skipped") == 6
    assert aeedge(*words, "--force").code == 0


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_a_batch_soon_and_leaves_nothing_partial(draw, conv, tmp_path):
    first = draw(tmp_path / "in" / "first.png", width=1500, height=1000)
    for number in range(400):
        os.link(first, first.with_name(f"{number:03}.png"))
    command = [sys.executable, "-m", "aeedge", "compress", "in", "-m", str(conv), "-o", "out", "--jobs", "4"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    out = tmp_path / "out"
    while process.poll() is None and not (out.is_dir() and any(out.glob("*.aee"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 20  # a second or less where nothing else runs
    assert process.returncode == 130
    assert "interrupted" in errors
    codec = Codec.load(conv, threads=1)
    left = list(out.iterdir())
    assert 0 < len(left) < 400
    for path in left:
        assert codec.decompress(path.read_bytes()).shape == (1000, 1500, 3)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_fewer_threads_than_asked_for_do_all_the_work(monkeypatch, allowed):
    start, left = threading.Thread.start, [allowed]

    def refuse(thread):
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    answers = Pipeline(lambda item: item + 1, 4, lambda _: None).run(range(20))
    if allowed:
        assert list(answers) == list(range(1, 21))
    else:
        with pytest.raises(AeedgeError, match="use --jobs 1"):
            next(answers)
