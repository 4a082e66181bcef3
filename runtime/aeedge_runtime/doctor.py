"""Diagnosis of this machine: whether and on which devices a codec runs. Every device is actually tried."""

from __future__ import annotations

import base64
import platform
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from ._version import __version__
from .bundle.bundle import shipped_bundles
from .errors import AeedgeError, BackendError
from .inference.backend import backend_fault, installed_backends, load_backend
from .inference.hardware import Gpu, find_gpus, find_libraries
from .inference.processors import default_threads
from .inference.session import CPU, CUDA, SessionOptions, open_session

SMOKE_MODEL = base64.b64decode(
    "CAoSBmFlZWRnZTqHAQolCgZ2YWx1ZXMSAXQiCVRyYW5zcG9zZSoNCgRwZXJtQAFAAKABBwodCgZ2YWx1ZXMKAXQSCHByb2R1"
    "Y3RzIgZNYXRNdWwSBXNtb2tlWhoKBnZhbHVlcxIQCg4IARIKCgMSAW4KAxIBa2IcCghwcm9kdWN0cxIQCg4IARIKCgMSAW4K"
    "AxIBbkIECgAQEg=="
)
"""Values times their own transpose; written with onnx.helper (ir version 10, opset 18)."""


@dataclass(frozen=True)
class DeviceTrial:
    """Outcome of running a tiny graph on one device.

    Attributes:
        device: as `Codec.load` takes it.
        works: whether the graph ran there and gave the right values.
        provider: execution provider that ran it, or "".
        open_ms: time to open the session, or None.
        fault: what is missing, or "".
    """

    device: str
    works: bool
    provider: str
    open_ms: float | None
    fault: str


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        healthy: whether a codec runs on the CPU at least, and one onnxruntime is installed.
        aeedge: version of this package.
        python: version and implementation.
        system: operating system and processor.
        numpy: version.
        pillow: version, or "".
        onnxruntime: version and build, or "".
        backends: installed distributions of onnxruntime and their versions.
        backend_fault: what is wrong with them and the command that fixes it, or "".
        outdated: distributions older than this package requires -> one line that says what is installed and expected.
        providers: execution providers that the installed onnxruntime knows; trials show whether they load.
        trials: each device that was tried.
        gpus: GPUs that the NVIDIA driver reports.
        libraries: file name of the driver and of each CUDA library that loads, "" where none does.
        threads: threads a codec uses by default.
        bundles: bundles that came with the package.
    """

    healthy: bool
    aeedge: str
    python: str
    system: str
    numpy: str
    pillow: str
    onnxruntime: str
    backends: Mapping[str, str]
    backend_fault: str
    outdated: Mapping[str, str]
    providers: tuple[str, ...]
    trials: tuple[DeviceTrial, ...]
    gpus: tuple[Gpu, ...]
    libraries: Mapping[str, str]
    threads: int
    bundles: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def diagnose() -> Diagnosis:
    """Diagnose this machine; problems are reported, never raised."""
    backends = installed_backends()
    version, providers, fault = _backend(backends)
    devices = ["cpu", "cuda", *(f"provider:{name}" for name in providers if name not in (CPU, CUDA))]
    trials = tuple(_try_device(device) for device in devices) if version else ()
    return Diagnosis(
        healthy=not fault and any(trial.works for trial in trials if trial.device == "cpu"),
        aeedge=__version__,
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        numpy=np.__version__,
        pillow=_pillow_version(),
        onnxruntime=version,
        backends=backends,
        backend_fault=fault,
        outdated=find_outdated(_requirements()),
        providers=providers,
        trials=trials,
        gpus=tuple(find_gpus()),
        libraries=find_libraries(),
        threads=default_threads(),
        bundles=tuple(shipped_bundles()),
    )


def find_outdated(requirements: Iterable[str]) -> dict[str, str]:
    """Return the installed distributions that are older than required.

    Args:
        requirements: as `importlib.metadata.requires` lists them; only their lower bounds are read.

    Returns:
        Distribution -> one line that says what is installed and what is expected.
    """
    found: dict[str, str] = {}
    for requirement in requirements:
        match = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*>=\s*([\d.]+)", requirement)
        if match is None:
            continue
        name, floor = match.groups()
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if _release(version) < _release(floor):
            found[name] = f'{name} {version} is older than {floor}; run: pip install --upgrade "{name}>={floor}"'
    return found


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _requirements() -> list[str]:
    """Return what the distribution requires; nothing where only this package was copied."""
    try:
        return metadata.requires("aeedge") or []
    except metadata.PackageNotFoundError:
        return []


def _backend(backends: dict[str, str]) -> tuple[str, tuple[str, ...], str]:
    """Version and build, providers, and what is wrong, of onnxruntime."""
    try:
        runtime = load_backend()
    except BackendError as error:
        return "", (), backend_fault(backends) or str(error)
    build = getattr(runtime, "get_build_info", str)()
    return f"{runtime.__version__} ({build})".replace(" ()", ""), tuple(runtime.get_available_providers()), ""


def _try_device(device: str) -> DeviceTrial:
    start = time.perf_counter()
    try:
        session = open_session(SMOKE_MODEL, SessionOptions(device), role="smoke test")
        elapsed = (time.perf_counter() - start) * 1e3
        values = np.arange(12, dtype=np.float32).reshape(3, 4)
        found = session.run({"values": values})[0]
    except AeedgeError as error:
        return DeviceTrial(device, False, "", None, str(error))
    if not np.array_equal(found, values @ values.T):
        return DeviceTrial(device, False, session.provider, elapsed, "the smoke test gave wrong values")
    return DeviceTrial(device, True, session.provider, elapsed, "")


def _pillow_version() -> str:
    try:
        from PIL import __version__ as version
    except ImportError:
        return ""
    return str(version)
