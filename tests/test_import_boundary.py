"""What a device without PyTorch runs must never import PyTorch, whatever is installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aeedge
import aeedge_export
from aeedge.failures import TRAIN_MODULES

HEAVY = ("torch", "onnx", "onnxscript", "torchvision", "lightning", "matplotlib", "safetensors")


def imported(statement: str) -> set[str]:
    text = f"{statement}\nimport sys\nprint('loaded', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compress", "--help"], ["info", "--help"]])
def test_help_loads_no_numpy_and_no_backend(words):
    found = imported(f"from aeedge.cli import main; assert main({words}) == 0")
    assert found.isdisjoint({"numpy", "onnxruntime", "PIL", "tabulate", *HEAVY})


def test_importing_the_runtime_loads_nothing_heavy():
    assert imported("import aeedge_runtime").isdisjoint({"numpy", "onnxruntime", "PIL", *HEAVY})


@pytest.mark.parametrize("command", ["compress", "decompress", "info", "verify", "doctor", "presets"])
def test_commands_of_the_device_never_load_torch(command):
    found = imported(f"import aeedge_runtime.codec, aeedge_runtime.verify, aeedge.commands.{command}")
    assert found.isdisjoint(HEAVY)


def third_party(package: str) -> set[str]:
    """Names of the libraries that a package's files import, at their top or later."""
    names: set[str] = set()
    for path in Path(package).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names - {"aeedge", "aeedge_export", "aeedge_runtime"}


def test_a_missing_library_of_training_is_named_with_its_remedy():
    base = {"PIL", "click", "numpy", "onnxruntime", "tabulate"}
    found = third_party(aeedge.__file__) | third_party(aeedge_export.__file__)
    assert "torch" in found
    assert found - base <= set(TRAIN_MODULES)
