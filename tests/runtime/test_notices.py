import threading
import warnings

import pytest

from aeedge_runtime import AeedgeWarning
from aeedge_runtime.notices import collected, notice


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
