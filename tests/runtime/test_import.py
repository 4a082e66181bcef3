import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import BUNDLES

import aeedge_runtime

ROOT = Path(aeedge_runtime.__file__).parent
ALLOWED = {"numpy", "onnxruntime", "PIL", "aeedge_runtime"}

USE = """
import sys
import numpy as np
sys.path.insert(0, {root!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "torchvision", "scipy", "click", "tabulate"):
            raise AssertionError("imported " + name)
sys.meta_path.insert(0, Refuse())
import aeedge_runtime
codec = aeedge_runtime.Codec.load({bundle!r}, threads=1)
image = codec.decompress(codec.compress(np.zeros((9, 9, 3), np.uint8)))
assert image.shape == (9, 9, 3)
assert aeedge_runtime.verify_bundle({bundle!r}).passed
aeedge_runtime.diagnose()
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light_and_silent() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT.parent)!r})
before = set(sys.modules)
import aeedge_runtime
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
assert not loaded & {{"numpy", "onnxruntime", "PIL", "zipfile", "ctypes"}}, loaded
import threading
assert threading.active_count() == 1
"""
    assert run(code) == ""


def test_codec_brings_onnxruntime_and_pillow_only_at_use() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT.parent)!r})
import aeedge_runtime
codec = aeedge_runtime.Codec.load({str(BUNDLES / "tiny-conv")!r})
assert "onnxruntime" not in sys.modules and "PIL" not in sys.modules
"""
    assert run(code) == ""


@pytest.mark.parametrize("name", ["tiny-conv", "tiny-hyper"])
def test_nothing_else_is_imported_and_nothing_printed(name: str) -> None:
    assert run(USE.format(root=str(ROOT.parent), bundle=str(BUNDLES / name))) == ""


HOOKS = {
    "hub.py": {"huggingface_hub"},
    "numcodecs.py": {"numcodecs"},
    "remote.py": {"fsspec"},
    "torch_data.py": {"torch"},
    "zarr.py": {"zarr"},
}
"""Modules that serve one library, and import it."""


def test_sources_import_only_what_is_allowed() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                hook = HOOKS.get(path.name, set())
                assert top in ALLOWED | hook | sys.stdlib_module_names, f"{path.name} imports {name}"
                assert top != "aeedge_runtime", f"{path.name} imports its own package by name"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_onnxruntime_starts_without_its_telemetry_thread() -> None:
    code = f"""
import os, sys; sys.path.insert(0, {str(ROOT.parent)!r})
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
import numpy
before = len(os.listdir("/proc/self/task"))
from aeedge_runtime.inference.backend import load_backend
load_backend()
assert len(os.listdir("/proc/self/task")) == before
assert "ORT_DISABLE_TELEMETRY" not in os.environ
"""
    assert run(code) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("use", [False, True])
def test_a_forked_child_exits_like_any_other(use: bool) -> None:
    code = f"""
import os, sys; sys.path.insert(0, {str(ROOT.parent)!r})
import numpy as np
from aeedge_runtime import Codec
codec = Codec.load({str(BUNDLES / "tiny-conv")!r}, threads=2)
pixels = np.zeros((64, 64, 3), np.uint8)
data = codec.compress(pixels)
codec.decompress(data)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if {use}:
    assert codec.compress(pixels) == data
"""
    assert run(code) == ""
