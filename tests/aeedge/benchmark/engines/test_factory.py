import pytest

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.factory import open_engine
from aeedge_runtime.errors import ArgumentError


def case(engine, operation):
    return Case(engine, operation, "cpu", 1, 1, 64, 48, 50, "png")


@pytest.mark.parametrize(
    ("engine", "said"), [("jpeg", "found no PSNR to match"), ("torch-eager", "name it with --run")]
)
def test_engines_say_what_they_lack(engine, said):
    if engine.startswith("torch"):
        pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match=said):
        open_engine(case(engine, "encode"), "photo", None, None)
