import pytest

from aeedge.extras import require_report
from aeedge_runtime import AeedgeError


def test_a_missing_library_is_named_with_its_remedy():
    require_report(["json"], "the plot needs")
    with pytest.raises(AeedgeError, match=r'nothere is not installed, but the plot needs it; .*"aeedge\[report\]"'):
        require_report(["json", "nothere"], "the plot needs")
