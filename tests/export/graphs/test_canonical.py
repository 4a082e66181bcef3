import hashlib
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx_ir
import pytest

from aeedge_export import ExportError
from aeedge_export.graphs.canonical import array_bytes, canonicalize, check_graph, zip_bytes

pytestmark = pytest.mark.torch


def hand_made(node):
    value = onnx_ir.val("latent", shape=[2], dtype=onnx_ir.DataType.FLOAT)
    made = node(value)
    made.outputs[0].name, made.outputs[0].shape = "result", onnx_ir.Shape([2])
    graph = onnx_ir.Graph([value], [made.outputs[0]], nodes=[made], opset_imports={"": 18})
    return onnx_ir.Model(graph, ir_version=10)


@pytest.mark.parametrize(
    ("domain", "operator", "message"),
    [("", "Dropout", "training mode"), ("com.example", "Relu", "com.example.Relu"), ("", "Bernoulli", "random")],
)
def test_operators_that_must_not_ship_are_refused(domain, operator, message):
    model = hand_made(lambda value: onnx_ir.Node(domain, operator, [value]))
    with pytest.raises(ExportError, match=message):
        canonicalize(model, {"latent": (None,), "result": (None,)})


def test_local_functions_are_refused():
    model = hand_made(lambda value: onnx_ir.Node("", "Relu", [value]))
    function = onnx_ir.Function("local", "Own", "", graph=onnx_ir.Graph([], [], nodes=[]), attributes=[])
    model.functions[function.identifier()] = function
    with pytest.raises(ExportError, match=r"local functions \(1\)"):
        check_graph(model)


@pytest.mark.parametrize(
    ("shape", "message"),
    [([2, 2], "expected 1 dimensions"), (None, "found shape None"), (["n"], r"became dynamic \(n\)")],
)
def test_shapes_that_the_family_does_not_have_are_refused(shape, message):
    model = hand_made(lambda value: onnx_ir.Node("", "Relu", [value]))
    model.graph.inputs[0].shape = None if shape is None else onnx_ir.Shape(shape)
    with pytest.raises(ExportError, match=f"latent: .*{message}"):
        canonicalize(model, {"latent": (None,), "result": (None,)})


def test_equal_content_gives_equal_archives():
    assert zip_bytes({"b": b"2", "a": b"1"}) == zip_bytes({"a": b"1", "b": b"2"})
    arrays = {"steps": np.arange(3.0)}
    with np.load(BytesIO(array_bytes(arrays)), allow_pickle=False) as loaded:
        np.testing.assert_array_equal(loaded["steps"], arrays["steps"])


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from conftest import make_source
from aeedge_export import export_source
export_source(make_source("vae"), sys.argv[1])
"""


@pytest.mark.slow
def test_two_exports_from_two_folders_and_hash_seeds_are_identical(tmp_path):
    digests = []
    for number in (1, 2):
        folder = tmp_path / f"place {number}" / ("deeper" * number)
        folder.mkdir(parents=True)
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        script = SCRIPT.format(tests=str(Path(__file__).parents[1]))
        target = folder / f"bundle{number}.aeb"
        subprocess.run([sys.executable, "-c", script, str(target)], cwd=folder, env=environment, check=True)
        digests.append(hashlib.sha256(target.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
