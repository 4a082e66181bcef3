"""One ONNX file from elsewhere: read safely, made standard, and run as it is."""

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
import onnxruntime
import torch
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from torch import Tensor, nn

from aeedge_export.errors import ExportError
from aeedge_export.networks.refusals import one_line
from aeedge_runtime.errors import InputError

OPSET = 18
"""The opset of every graph in a bundle; others are converted to it."""

OLDEST_OPSET = 11

INTEGER_OPERATORS = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
"""Operators of graphs in 8 bits, next to QuantizeLinear and its relatives."""

UINT8 = "tensor(uint8)"
FLOAT = "tensor(float)"


class OnnxHalf(nn.Module):
    """A graph with one input, run by onnxruntime without any optimization: the reference of an export.

    Args:
        model: the graph, standard and self-contained; see `read_onnx`.
        name: its file, for messages.
        output: position or name of the output that is meant; None for the first.

    Attributes:
        proto: the graph.
        takes: type and shape of its input; free dimensions are texts.
        gives: the same of its output.
    """

    def __init__(self, model: onnx.ModelProto, name: str, output: int | str | None = None) -> None:
        super().__init__()
        self.proto, self.name, self._choice = model, name, output
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.intra_op_num_threads = 1
        settings.log_severity_level = 4
        try:
            data = model.SerializeToString()
            self._session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a type of its own for each reason
            raise ExportError(f"{name}: onnxruntime refuses it: {one_line(error)}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise ExportError(f"{name}: {len(inputs)} inputs ({names}), expected one")
        self.takes = inputs[0].type, tuple(inputs[0].shape)
        self.input_name = inputs[0].name
        self.output_name = _output_name([value.name for value in outputs], output, name)
        self.gives = next(value.type for value in outputs if value.name == self.output_name)
        if self.takes[0] not in (UINT8, FLOAT) or self.gives not in (UINT8, FLOAT):
            raise ExportError(
                f"{name}: {self.takes[0]} in and {self.gives} out, expected float or uint8; export it with float "
                "inputs and outputs"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return another session of the same graph."""
        return type(self)(self.proto, self.name, self._choice)

    def forward(self, value: Tensor) -> Tensor:
        """Run the graph; the result has the precision of the input, unless it is whole numbers."""
        array = value.detach().numpy()
        fed = np.rint(array).clip(0, 255).astype(np.uint8) if self.takes[0] == UINT8 else array.astype(np.float32)
        (found,) = self._session.run([self.output_name], {self.input_name: np.ascontiguousarray(fed)})
        result = torch.from_numpy(np.ascontiguousarray(found))
        return result.to(value.dtype) if result.is_floating_point() else result

    def content(self) -> list[Any]:
        """Return operators and hashes of weights as plain values, whatever their names are."""
        operators = [node.op_type for node in self.proto.graph.node]
        weights = [
            [list(tensor.dims), hashlib.sha256(onnx.numpy_helper.to_array(tensor).tobytes()).hexdigest()]
            for tensor in self.proto.graph.initializer
        ]
        return [operators, sorted(weights)]


def read_onnx(source: Path | str | bytes, name: str) -> onnx.ModelProto:
    """Read a graph and make it standard: external data inlined, functions inlined, opset 18, a free batch.

    Raises:
        InputError: it is no ONNX file.
        ExportError: it holds what a bundle cannot; the message says what to change.
    """
    try:
        model = (
            onnx.load_model_from_string(source)
            if isinstance(source, bytes)
            else onnx.load(source, load_external_data=False)
        )
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({one_line(error)})") from error
    except Exception as error:  # protobuf's own type
        raise InputError(f"{name}: not an ONNX file ({one_line(error)})") from error
    if not model.graph.node:
        raise InputError(f"{name}: not an ONNX file, or one without operators")
    _inline_data(model, source, name)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _require_standard(model, name)
    model = _without_newer_functions(model)
    model = _to_opset(model, name)
    initializers = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in initializers]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(kept)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.HasField("shape") and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model


def _inline_data(model: onnx.ModelProto, source: Path | str | bytes, name: str) -> None:
    """Take weights from files next to the graph, and from nowhere else."""
    external = [tensor for tensor in _tensors(model) if uses_external_data(tensor)]
    for tensor in external:
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if isinstance(source, bytes) or location != Path(location).name or location in ("", ".", ".."):
            raise ExportError(
                f"{name}: weights are in {location!r}, expected in the file itself or in one next to it; save it again "
                "with its weights inside"
            )
        place = Path(source).parent / location
        if place.is_symlink() or not place.is_file():
            raise InputError(f"{name}: the file of its weights, {location}, is missing or a link")
    if external and not isinstance(source, bytes):
        load_external_data_for_model(model, str(Path(source).parent))


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    constants = (
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.TENSOR
    )
    return [*model.graph.initializer, *constants]


def _require_standard(model: onnx.ModelProto, name: str) -> None:
    for node in model.graph.node:
        if "Quantize" in node.op_type or node.op_type in INTEGER_OPERATORS:
            raise ExportError(
                f"{name}: {node.op_type} computes in 8 bits, which processors round differently; give the float graph, "
                "and make a bundle of 8 bits with precision int8"
            )
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(
                f"{name}: operator {node.domain}.{node.op_type} is not standard; export without it, and before any "
                "optimization by a runtime"
            )
        if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
            raise ExportError(f"{name}: {node.op_type} branches on data; export a graph without control flow")


def _without_newer_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Spell out the operators that are younger than our opset and defined by older ones, such as Gelu."""
    newer = {node.op_type for node in model.graph.node if _is_newer_function(node.op_type)}
    if not newer:
        return model
    names = [("", name) for name in sorted(newer)]
    return onnx.inliner.inline_selected_functions(model, names, inline_schema_functions=True)


def _is_newer_function(operator: str) -> bool:
    if not onnx.defs.has(operator) or onnx.defs.has(operator, OPSET):
        return False
    schema: Any = onnx.defs.get_schema(operator)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _to_opset(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    version = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if version < OLDEST_OPSET:
        raise ExportError(f"{name}: opset {version}, expected {OLDEST_OPSET} or newer; export it again")
    if version == OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter has a type of its own
        raise ExportError(
            f"{name}: opset {version} cannot be converted to {OPSET} ({one_line(error)}); export it with opset {OPSET}"
        ) from error


def _output_name(names: list[str], choice: int | str | None, name: str) -> str:
    if choice is None:
        return names[0]
    if isinstance(choice, int) and 0 <= choice < len(names):
        return names[choice]
    if choice in names:
        return str(choice)
    raise ExportError(f"{name}: no output {choice!r}, expected one of {', '.join(names)}")
