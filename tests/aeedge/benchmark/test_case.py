import pytest

from aeedge.benchmark.case import Case, Grid, operations_of
from aeedge_runtime.errors import ArgumentError, InputError

CASE = Case("aeedge", "compress", "cpu", 2, 1, 64, 48, 50, "jpeg")


def test_a_grid_has_every_case_once_and_engines_only_what_they_do():
    grid = Grid(("compress", "encode"), ("cpu", "cuda"), (1, 2), (1,), ((8, 8),), 50, "png", ("jpeg", "torch-eager"))
    cases = grid.cases()
    assert len(cases) == len(set(cases)) == 8 + 1 + 4
    assert all(case.operation in operations_of(case.engine) for case in cases)
    with pytest.raises(ArgumentError, match="gif"):
        operations_of("gif")


def test_a_case_survives_json_and_refuses_unknown_keys():
    assert Case.from_dict(CASE.to_dict()) == CASE
    with pytest.raises(InputError, match="colour"):
        Case.from_dict({**CASE.to_dict(), "colour": 1})
