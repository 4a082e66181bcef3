"""Sets how long idle threads of PyTorch spin; OpenMP reads it when PyTorch is first imported."""

import os

SPINS = 5000
"""Turns of the loop that a thread of GNU OpenMP waits in, some ten microseconds.

Awake for a millisecond, as is the default, training was up to 40 times slower on a busy two-core machine; asleep at
once, a small network was four times slower on a quiet one.
"""


def wait_briefly() -> None:
    """Let idle threads sleep soon, unless the environment says otherwise."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
