"""What a device without PyTorch runs must never import PyTorch, whatever is installed."""

import subprocess
import sys

import pytest

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
