import itertools

import pytest

from aeedge.benchmark import measure
from aeedge.benchmark.case import Case
from aeedge.benchmark.measure import ProcessError
from aeedge.benchmark.protocol import QUICK, Request


def test_runs_are_interleaved_forwards_and_backwards():
    from aeedge.benchmark.measure import _interleaved

    assert list(itertools.chain(_interleaved(["a", "b"], 3))) == ["a", "b", "b", "a", "a", "b"]


def case(engine, operation):
    return Case(engine, operation, "cpu", 1, 1, 64, 48, 50, "png")


def test_a_process_that_dies_without_an_answer(conv, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_START", "import sys; sys.exit('out of luck')")
    request = Request(case("aeedge", "encode"), str(conv), None, str(tmp_path), QUICK)
    with pytest.raises(ProcessError, match="ended with code 1; out of luck"):
        measure._run(request, tmp_path)
