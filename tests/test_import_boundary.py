"""What a device without PyTorch runs must never import PyTorch, whatever is installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import aeedge
import aeedge_export
from aeedge.extras import HUB_MODULES, RAY_MODULES, REMOTE_MODULES, SERVE_MODULES, TRAIN_MODULES
from aeedge_runtime import Codec

HEAVY = ("torch", "onnx", "onnxscript", "torchvision", "lightning", "matplotlib", "safetensors")


def imported(statement: str) -> set[str]:
    text = f"{statement}\nimport sys\nprint('loaded', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compress", "--help"], ["info", "--help"]])
def test_help_loads_no_numpy_and_no_backend(words):
    found = imported(f"from aeedge.cli.main import main; assert main({words}) == 0")
    assert found.isdisjoint({"numpy", "onnxruntime", "PIL", "tabulate", *HEAVY})


def test_importing_the_runtime_loads_nothing_heavy():
    assert imported("import aeedge_runtime").isdisjoint({"numpy", "onnxruntime", "PIL", *HEAVY})


BUNDLES = Path(__file__).parent / "fixtures" / "bundles"

DEVICE_COMMANDS = (
    ["compress", "a.png", "-m", "CONV", "-o", "a.aee", "--verify"],
    ["compress", "in", "-m", "CONV", "--pack", "all.aee"],
    ["decompress", "a.aee", "-m", "CONV", "-o", "b.png"],
    ["decompress", "all.aee", "-m", "CONV", "-o", "out"],
    ["info", "a.aee"],
    ["info", "CONV"],
    ["verify", "CONV"],
    ["reconstruct", "VAE", "a.png", "-o", "r.png"],
    ["score", "VAE", "in", "--threshold", "1"],
    ["encode", "VAE", "in", "-o", "f.npz"],
    ["sample", "VAE", "--posterior", "a.png", "-o", "s.png"],
    ["bench", "CONV", "--quick", "--size", "16x16"],
    ["presets"],
)


@pytest.mark.parametrize("words", DEVICE_COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_commands_of_the_device_do_their_work_without_torch(words, tmp_path):
    """What a command imports when it works counts as much as what it imports first."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "in/x.png", "in/y.png"):
        Image.linear_gradient("L").resize((16, 16)).convert("RGB").save(tmp_path / name)
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    (tmp_path / "a.aee").write_bytes(codec.compress(tmp_path / "a.png"))
    (tmp_path / "all.aee").write_bytes(codec.compress_batch([tmp_path / "in/x.png", tmp_path / "in/y.png"]))
    places = {"CONV": str(BUNDLES / "tiny-conv"), "VAE": str(BUNDLES / "tiny-vae")}
    spelled = [places.get(word, word) for word in words]
    if "-o" in words or "--pack" in words:
        spelled.append("--force")
    text = f"import os; os.chdir({str(tmp_path)!r}); from aeedge.cli.main import main; assert main({spelled}) == 0"
    assert imported(text).isdisjoint(HEAVY)


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
    extras = {*TRAIN_MODULES, *SERVE_MODULES, *REMOTE_MODULES, *HUB_MODULES, *RAY_MODULES}
    assert found - base <= extras
