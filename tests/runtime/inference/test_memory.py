import platform
import subprocess
import sys

import pytest

MEASURE = """
from pathlib import Path
import numpy as np
from aeedge_runtime import Codec

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 10**6

with Codec.load(threads=1) as codec:
    codec.decompress(codec.compress(np.zeros((512, 512, 3), np.uint8), stored_tiles=False))
    before = resident_mb()
print(before - resident_mb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs malloc_trim")
def test_closing_a_codec_returns_its_memory_to_the_system():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 40
