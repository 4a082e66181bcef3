import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.protocol import Reply
from aeedge.benchmark.regression import compare, read_report
from aeedge.benchmark.summary import summarize
from aeedge_runtime.errors import ArgumentError, InputError

MS = 1_000_000
CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def reply(*samples_ms, joules=None, **stages_ms):
    samples = [{"encoder_graph": int(value * MS), "other": MS} for value in samples_ms]
    for sample in samples:
        sample.update({name: int(value * MS) for name, value in stages_ms.items()})
    return Reply(5.0, 4.0, 3.0, samples, joules, 10**6, 3 * 10**6, {"encoder": "CPU"}, {"bytes": 96, "psnr_db": 30.0})


def report(*replies, **environment):
    return {"schema": 1, "environment": environment, "results": [summarize(CASE, replies)]}


def test_a_slower_stage_is_named_and_a_faster_one_is_not():
    before = report(reply(10, 10, quantise=5), reply(10, 10, quantise=5))
    now = report(reply(8, 8, quantise=9), reply(8, 8, quantise=9))
    found = compare(before, now, 10)
    assert [change.figure for change in found.regressions] == ["total", "quantise"]
    assert "quantise 5 -> 9 ms" in str(found.regressions[1])
    assert not compare(before, now, 100).regressions
    assert not compare(now, before, 10).regressions[1:]


def test_what_lies_within_the_noise_is_no_regression():
    quiet, noisy = report(reply(10), reply(10)), report(reply(10), reply(14))
    assert noisy["results"][0]["total"]["p50_ms"] > quiet["results"][0]["total"]["p50_ms"] * 1.1
    assert not compare(quiet, noisy, 10).regressions


def test_a_tiny_stage_may_double():
    found = compare(report(reply(10, quantise=0.01)), report(reply(10, quantise=0.02)), 10)
    assert not found.regressions


def test_other_machines_are_noted_and_other_cases_refused():
    found = compare(report(reply(1), cpu="a"), report(reply(1), cpu="b"), 10)
    assert found.notes == ["cpu was a, is b"]
    found = compare(report(reply(1), gpus=[{"driver": 1}], pictures={"count": 1}), report(reply(1), gpus=[]), 10)
    assert found.notes == ["the GPUs, or their drivers, differ", "the images differ"]
    other = report(reply(1))
    other["results"][0]["config"]["threads"] = 7
    with pytest.raises(ArgumentError, match="in common"):
        compare(report(reply(1)), other, 10)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "results": []}', '{"schema": 1, "results": [1]}'])
def test_a_file_that_is_no_benchmark_is_refused(tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(InputError, match=r"old\.json"):
        read_report(tmp_path / "old.json")
