"""Equal ranges for the channels of what will be quantized, so that 8 bits per tensor serve every channel.

A residual stream carries channels whose ranges differ a hundredfold, and one scale per tensor leaves the small ones
with a few levels. Dividing each channel by its own range before a layer and multiplying its weights by it computes the
same function: on the photo bundle's encoder this made the error of the latent 17 times smaller. Between two layers with
nothing or a ReLU in between the factors go into the weights of both; elsewhere one multiplication per channel is added.
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721.)
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from aeedge_runtime.inference.session import SessionOptions, open_session

Floats = NDArray[np.float32]
Feeds = Sequence[Mapping[str, NDArray[Any]]]

SMALLEST_RANGE = 1e-4
"""Of the largest channel's: a channel that is always 0 must not be blown up."""


def equalize(model: onnx.ModelProto, layers: Collection[str], feeds: Feeds) -> onnx.ModelProto:
    """Return a graph of the same function in which channels around the named convolutions have equal ranges.

    Args:
        model: not changed.
        layers: names of the nodes that will be quantized; those that are no convolutions are left as they are.
        feeds: real inputs of the graph.
    """
    rewriting = _Rewriting(model, layers)
    rewriting.scale_by(channel_ranges(model, rewriting.tensors(), feeds))
    return rewriting.finished()


def channel_ranges(model: onnx.ModelProto, tensors: Sequence[str], feeds: Feeds) -> dict[str, Floats]:
    """Return the largest magnitude of every channel, float32 `[c]`, of tensors `[N, c, h, w]` of a graph."""
    probed = _copy(model)
    given = {value.name for value in probed.graph.input}
    asked = [name for name in tensors if name not in given | {value.name for value in probed.graph.output}]
    probed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in asked)
    session = open_session(probed.SerializeToString(), SessionOptions(), role="graph")
    ranges = {name: np.zeros(1, np.float32) for name in tensors}
    for feed in feeds:
        values = {**feed, **dict(zip(session.outputs, session.run(feed), strict=True))}
        for name in tensors:
            ranges[name] = np.maximum(ranges[name], np.abs(values[name]).max(axis=(0, 2, 3)))
    return ranges


class _Rewriting:
    """One graph and the weights of its convolutions."""

    def __init__(self, model: onnx.ModelProto, layers: Collection[str]) -> None:
        self._model = _copy(model)
        graph = self._model.graph
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {output: node for node in graph.node for output in node.output}
        self._uses: dict[str, int] = {}
        for name in [*(name for node in graph.node for name in node.input), *(value.name for value in graph.output)]:
            self._uses[name] = self._uses.get(name, 0) + 1
        self._layers = {node.name: node for node in graph.node if node.name in layers and self._fits(node)}
        self._before: dict[str, Floats] = {}
        self._after: dict[str, Floats] = {}

    def tensors(self) -> list[str]:
        """Names of the tensors whose ranges decide."""
        return list(dict.fromkeys(name for node in self._layers.values() for name in (node.input[0], node.output[0])))

    def scale_by(self, ranges: Mapping[str, Floats]) -> None:
        """Move the ranges into the weights, and note the remaining factors."""
        folded = set()
        for name, node in self._layers.items():
            scale = _relative(ranges[node.input[0]])
            self._change(node, inputs=scale)
            producer = self._producer(node.input[0])
            if producer is None:
                self._before[name] = np.reciprocal(scale)
            else:
                self._change(producer, outputs=np.reciprocal(scale))
                folded.add(producer.name)
        for name, node in self._layers.items():
            if name not in folded:
                self._after[name] = _relative(ranges[node.output[0]])
                self._change(node, outputs=np.reciprocal(self._after[name]))

    def finished(self) -> onnx.ModelProto:
        """Return the graph with its multiplications."""
        nodes = []
        for node in list(self._model.graph.node):
            if node.name in self._before:
                nodes.append(self._multiplication(f"{node.name}_before", self._before[node.name], node.input[0]))
                node.input[0] = nodes[-1].output[0]
            nodes.append(node)
            if node.name in self._after:
                name, output = f"{node.name}_after", node.output[0]
                node.output[0] = f"{name}_input"
                nodes.append(self._multiplication(name, self._after[node.name], node.output[0], output))
        del self._model.graph.node[:]
        self._model.graph.node.extend(nodes)
        return self._model

    def _fits(self, node: onnx.NodeProto) -> bool:
        """Plain convolutions of images with their own weights; in a grouped one inputs and weights differ in number."""
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        stored = len(node.input) == 3 and all(name in self._tensors for name in node.input[1:])
        return (
            node.op_type == "Conv" and group == 1 and stored and all(self._uses[name] == 1 for name in node.input[1:])
        )

    def _producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the layer that produces a tensor which nothing else reads, with at most a ReLU in between."""
        node = self._producers.get(tensor)
        if node is not None and node.op_type == "Relu" and self._uses[tensor] == 1:
            tensor = node.input[0]
            node = self._producers.get(tensor)
        return node if node is not None and node.name in self._layers and self._uses[tensor] == 1 else None

    def _change(self, node: onnx.NodeProto, inputs: Floats | None = None, outputs: Floats | None = None) -> None:
        weight, bias = (self._tensors[name] for name in node.input[1:3])
        values = numpy_helper.to_array(weight)
        if inputs is not None:
            values = values * inputs[None, :, None, None]
        if outputs is not None:
            values = values * outputs[:, None, None, None]
            bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) * outputs, bias.name))
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    def _multiplication(self, name: str, factor: Floats, source: str, target: str = "") -> onnx.NodeProto:
        self._model.graph.initializer.append(numpy_helper.from_array(factor.reshape(1, -1, 1, 1), f"{name}_factor"))
        return onnx.helper.make_node("Mul", [source, f"{name}_factor"], [target or f"{name}_output"], name=name)


def _relative(ranges: Floats) -> Floats:
    """Ranges as shares of the largest, in 0..1; all 1 where every channel is always 0."""
    largest = float(ranges.max())
    if not largest:
        return np.ones_like(ranges)
    scale: Floats = np.maximum(ranges / largest, SMALLEST_RANGE).astype(np.float32)
    return scale


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied
