import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.factory import open_engine
from aeedge_runtime.errors import ArgumentError


def case(engine, operation):
    return Case(engine, operation, "cpu", 1, 1, 64, 48, 50, "png")


def test_a_classic_codec_needs_a_psnr_to_match():
    with pytest.raises(ArgumentError, match="no PSNR to match"):
        open_engine(case("jpeg", "encode"), "photo", None, None)
