import signal
import sys
from pathlib import Path

import pytest

# The trials of benchmarks/trust run here too, with fewer cases.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "trust"))


@pytest.fixture(autouse=True)
def signals():
    """Puts back the signal handlers that trials install."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGPROF)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
