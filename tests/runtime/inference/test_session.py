import os
import platform
import re
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import (
    AeedgeWarning,
    ArgumentError,
    BackendError,
    BundleError,
    Codec,
    DeviceError,
)
from aeedge_runtime.doctor import SMOKE_MODEL
from aeedge_runtime.inference import backend, hardware
from aeedge_runtime.inference import session as session_module
from aeedge_runtime.inference.backend import backend_fault, installed_backends, load_backend
from aeedge_runtime.inference.session import CPU, CUDA, FATAL, Session, SessionOptions, open_session, provider_name

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def opened(device: str, **options: Any) -> Any:
    return open_session(SMOKE_MODEL, SessionOptions(device, **options), role="smoke test")


def without_cuda() -> bool:
    return CUDA not in load_backend().get_available_providers()


def test_cpu_runs() -> None:
    session = opened("cpu", threads=1)
    assert session.provider == CPU
    np.testing.assert_array_equal(session.run({"values": VALUES})[0], VALUES @ VALUES.T)


class Wrapped:
    """An onnxruntime whose sessions wrap nothing, or hide what they wrap."""

    def __init__(self, inner: Any) -> None:
        self.get_providers, self.get_outputs, self.run = inner.get_providers, inner.get_outputs, inner.run


def test_a_session_needs_no_more_of_onnxruntime_than_is_public() -> None:
    session = Session(Wrapped(load_backend().InferenceSession(SMOKE_MODEL, providers=[CPU])))
    np.testing.assert_array_equal(session.run({"values": VALUES})[0], VALUES @ VALUES.T)


@pytest.mark.skipif(not without_cuda(), reason="a CUDA build is installed")
def test_cuda_without_its_wheel_names_the_command() -> None:
    with pytest.raises(DeviceError, match=r'onnxruntime-gpu wheel, found .*pip install "aeedge\[cuda\]"'):
        opened("cuda:1")


@pytest.mark.skipif(not without_cuda(), reason="a CUDA build is installed")
def test_auto_falls_back_and_says_so_once() -> None:
    with pytest.warns(AeedgeWarning, match="device auto uses the CPU"):
        codec = Codec.load(BUNDLES / "tiny-conv", device="auto", threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec.decompress(codec.compress(picture(9, 9, 3)))
    assert codec.provider("decoder") == CPU


def test_unknown_providers_are_refused() -> None:
    assert provider_name("provider:OpenVINO") == "OpenVINOExecutionProvider"
    assert provider_name("provider:XNNPACKExecutionProvider") == "XNNPACKExecutionProvider"
    with pytest.raises(DeviceError, match="has no NoSuchExecutionProvider"):
        opened("provider:NoSuch")
    assert opened("provider:CPU").provider == CPU


@pytest.mark.skipif(
    "AzureExecutionProvider" not in load_backend().get_available_providers(), reason="this build has no such provider"
)
def test_a_provider_that_takes_no_operator_is_refused() -> None:
    with pytest.raises(DeviceError, match="takes none of the operators"):
        opened("provider:Azure")


class FakeSession:
    """A session of a build that claims CUDA and falls back in silence, as onnxruntime does."""

    def __init__(self, model: bytes, settings: Any = None, providers: Any = (), enable_fallback: int = 1) -> None:
        assert not enable_fallback
        print("EP Error, falling back")
        os.write(1, b"native print\n")

    def get_providers(self) -> list[str]:
        return [CPU]

    def get_outputs(self) -> list[Any]:
        return []


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    real = load_backend()
    severities: list[int] = []
    fake = types.SimpleNamespace(
        set_default_logger_severity=severities.append,
        get_available_providers=lambda: [CUDA, CPU],
        preload_dlls=lambda: print("Failed to load something"),
        SessionOptions=real.SessionOptions,
        InferenceSession=FakeSession,
    )
    monkeypatch.setattr(session_module, "load_backend", lambda: fake)
    return severities


def test_silent_fallback_is_found_and_stdout_stays_clean(
    capfd: pytest.CaptureFixture[str], fake_cuda: list[int]
) -> None:
    with pytest.raises(DeviceError, match="CUDAExecutionProvider did not start, CPUExecutionProvider would run smoke"):
        opened("cuda")
    sys.stdout.flush()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "native print" in captured.err
    assert "Failed to load something" in captured.err
    assert fake_cuda == [FATAL]


@pytest.mark.parametrize(
    ("libraries", "gpus", "message"),
    [
        ({"driver": ""}, [], "no NVIDIA driver"),
        ({"driver": "libcuda.so.1"}, [], "no GPU"),
        ({"driver": "libcuda.so.1", "cuDNN": ""}, [hardware.Gpu("G", "1", 1)], r"cuDNN not found; run: pip install"),
        ({"driver": "libcuda.so.1", "cuDNN": "x"}, [hardware.Gpu("G", "1", 1)], "GPU index"),
    ],
)
def test_what_cuda_misses_is_named(monkeypatch, libraries: dict[str, str], gpus: list[Any], message: str) -> None:
    monkeypatch.setattr(hardware, "find_libraries", lambda: libraries)
    monkeypatch.setattr(hardware, "find_gpus", lambda: gpus)
    assert re.search(message, hardware.cuda_fault())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_until_no_session_is_being_opened(monkeypatch) -> None:
    opened("cpu", threads=1)
    create, begun = session_module._create, threading.Event()
    done: list[Any] = []

    def slow(*arguments: Any) -> Any:
        begun.set()
        time.sleep(0.3)
        found = create(*arguments)
        done.append(found)
        return found

    monkeypatch.setattr(session_module, "_create", slow)
    thread = threading.Thread(target=opened, args=("cpu",))
    thread.start()
    begun.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if done and session_module._OPENING.acquire(blocking=False) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


def test_graphs_that_are_none() -> None:
    for model in (b"", b"junk", SMOKE_MODEL[:-9]):
        with pytest.raises(BundleError, match="onnxruntime does not accept"):
            open_session(model, SessionOptions(), role="x.onnx")


def test_a_failing_run_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="CPUExecutionProvider failed"):
        opened("cpu").run({"values": VALUES.astype(np.float64)})


def test_threads_rest_between_calls() -> None:
    codec = Codec.load("photo", threads=2)
    pixels = picture(256, 256, 3)
    codec.encode(pixels)
    rested_s, used_s = 0.0, 0.0
    for _ in range(10):
        codec.encode(pixels)
        start, used = time.perf_counter(), time.process_time()
        time.sleep(0.02)
        rested_s += time.perf_counter() - start
        used_s += time.process_time() - used
    assert used_s < 0.1 * rested_s  # with onnxruntime's defaults it is some 80 %


def test_options_are_validated() -> None:
    assert SessionOptions("cuda:12").device == "cuda:12"
    assert opened("cpu", threads=np.int64(1)).provider == CPU
    given = {"a": "b"}
    options = SessionOptions("cuda", provider_options=given)
    given.clear()
    assert options.provider_options == {"a": "b"}
    for wrong in ({"device": "tpu"}, {"device": 3}, {"threads": -1}, {"threads": 2.0}):
        with pytest.raises(ArgumentError):
            SessionOptions(**wrong)  # type: ignore[arg-type]


def test_one_distribution_is_installed() -> None:
    installed = installed_backends()
    assert len(installed) == 1
    assert backend_fault(installed) == ""


def test_doubled_distributions_name_the_command(monkeypatch) -> None:
    both = {"onnxruntime": "1.31", "onnxruntime-gpu": "1.31"}
    monkeypatch.setattr(backend, "installed_backends", lambda: both)
    load_backend.cache_clear()
    with pytest.raises(BackendError, match=r'uninstall -y onnxruntime onnxruntime-gpu && pip install "aeedge\[cuda\]"'):
        load_backend()
    assert "aeedge[cpu]" in backend_fault({"onnxruntime": "1", "onnxruntime-openvino": "1"})


def test_missing_backend_names_the_command(monkeypatch) -> None:
    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    load_backend.cache_clear()
    with pytest.raises(BackendError, match=r'onnxruntime is not installed; run: pip install "aeedge\[cpu\]"'):
        Codec.load(BUNDLES / "tiny-conv").compress(picture(8, 8, 3))


FAULTS = """
import resource
import numpy as np
from aeedge_runtime.inference.backend import load_backend

load_backend()
for turn in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 17) for _ in range(12)]  # a photo's work arrays: 1 MB each
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone gives memory back by this rule")
def test_work_arrays_are_not_faulted_in_anew_by_each_call() -> None:
    process = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(process.stdout) < 300  # 12 MB are 3072 pages


def missing(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


@pytest.fixture(autouse=True)
def _forget_the_backend() -> Iterator[None]:
    yield
    load_backend.cache_clear()
