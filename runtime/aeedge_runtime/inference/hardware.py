"""NVIDIA hardware and software of this machine, found without importing any of it."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

LIBRARIES = {
    "driver": ("libcuda.so.1", "nvcuda.dll"),
    "CUDA runtime": ("libcudart.so.13", "libcudart.so.12", "cudart64_13.dll", "cudart64_12.dll"),
    "cuBLAS": ("libcublas.so.13", "libcublas.so.12", "cublas64_13.dll", "cublas64_12.dll"),
    "cuDNN": ("libcudnn.so.9", "cudnn64_9.dll"),
}


@dataclass(frozen=True)
class Gpu:
    """Name, driver version and memory in MiB of one GPU, as nvidia-smi reports them."""

    name: str
    driver: str
    memory_mib: int


def find_gpus() -> list[Gpu]:
    """Return the GPUs that the driver reports; none without a driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return [Gpu(row[0], row[1], int(row[2]) if row[2].isdigit() else 0) for row in rows if len(row) == 3]


def find_libraries() -> dict[str, str]:
    """Return the file name of each library that loads, "" if none does; loaded ones stay loaded."""
    return {what: _first_loadable(names) for what, names in LIBRARIES.items()}


def cuda_fault() -> str:
    """Return one sentence on why CUDA does not start here, and what to do."""
    libraries = find_libraries()
    if not libraries["driver"]:
        return "no NVIDIA driver was found (libcuda.so.1); install the driver, or use device='cpu'"
    if not find_gpus():
        return "the driver reports no GPU; check nvidia-smi and, in a container, --gpus; or use device='cpu'"
    missing = [what for what, found in libraries.items() if not found]
    if missing:
        return f'{", ".join(missing)} not found; run: pip install "onnxruntime-gpu[cuda,cudnn]"'
    return (
        "driver, GPU and libraries were found; the GPU index or the driver's version may not fit, see `aeedge doctor`"
    )


def _first_loadable(names: Sequence[str]) -> str:
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return ""
