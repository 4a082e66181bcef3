import pytest

from aeedge.extras import require_extra
from aeedge_runtime import AeedgeError


def test_a_missing_library_is_named_with_its_remedy():
    require_extra("report", ["json"], "the plot needs")
    with pytest.raises(AeedgeError, match=r'nothere is not installed, but the plot needs it; .*"aeedge\[report\]"'):
        require_extra("report", ["json", "nothere"], "the plot needs")
