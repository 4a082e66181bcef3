"""Graphs with float16 weights and arithmetic: half the download, and what GPUs compute fastest.

Inputs and outputs keep their types. A processor without float16 kernels runs the same graph: onnxruntime widens the
weights when it opens it, and the activations where it must (within 5 % of float32's time on the machine of
benchmarks/results/precision.json).
"""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in float16, its inputs and outputs as they were."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    halved: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True)
    return halved
