"""Graphs with float16 weights and arithmetic: half the download, and what GPUs compute fastest.

Inputs and outputs keep their types. A processor without float16 kernels runs the same graph: onnxruntime widens the
weights when it opens it, and converts activations, so it is no faster there and may be a tenth slower
(benchmarks/results/precision.json).
"""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in float16, its inputs and outputs as they were."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    halved: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True)
    return halved
