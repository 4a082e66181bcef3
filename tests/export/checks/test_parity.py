import pytest

from aeedge_export.checks.parity import Check

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]


def test_a_measurement_that_is_no_number_fails():
    assert not Check("latent difference", float("nan"), 1e-3, "").passed
    assert "MISSED" in str(Check("latent difference", 2.0, 1e-3, ""))
