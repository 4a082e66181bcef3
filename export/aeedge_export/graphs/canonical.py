"""Canonical graphs: the same weights give the same bytes, and disallowed content is rejected.

By default a graph carries absolute paths, source lines and the exporter's version; without them two exports of one
checkpoint, from two folders and under two hash seeds, are identical.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from aeedge_export.errors import ExportError
from aeedge_export.graphs.half_storage import narrow
from aeedge_export.graphs.simplify import simplify
from aeedge_export.graphs.sizes import named_shapes
from aeedge_runtime.bundle.manifest import Manifest

IR_VERSION = 10
"""The newest that every supported onnxruntime reads."""

RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
TRAINING_OPERATORS = frozenset({"Dropout", "Gradient", "Momentum", "Adam", "Adagrad"})


def canonicalize(model: onnx_ir.Model, axes: Mapping[str, tuple[str | None, ...]]) -> onnx_ir.Model:
    """Strip what depends on where and when the graph was made, name its dimensions, check what is in it, and store it.

    Args:
        model: changed in place.
        axes: input or output name -> names of its dimensions, None where the size is fixed.

    Raises:
        ExportError: random or training-only operators, operators outside the standard, weights that are not finite.
    """
    simplify(model.graph)
    ClearMetadataAndDocStringPass()(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "aeedge", ""
    model.domain, model.model_version, model.doc_string = "", None, ""
    model.graph.name, model.graph.doc_string = "graph", ""
    _name_axes(model.graph, axes)
    _rename_values(model.graph)
    check_graph(model)
    narrow(model)
    return model


def check_graph(model: onnx_ir.Model) -> None:
    """Refuse a graph with operators or weights that must not ship.

    Raises:
        ExportError: the message names the operator or the weight.
    """
    if model.functions:
        raise ExportError(f"the graph holds local functions ({len(model.functions)}); expected standard operators only")
    for value in model.graph.inputs:
        if not value.uses():
            raise ExportError(f"the graph does not use its input {value.name}")
    for node in model.graph.all_nodes():
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(f"the graph holds {node.domain}.{node.op_type}; expected standard operators only")
        if node.op_type in RANDOM_OPERATORS:
            raise ExportError(f"the graph draws random numbers ({node.op_type}); the forward pass must not sample")
        if node.op_type in TRAINING_OPERATORS or _integer_attribute(node, "training_mode"):
            raise ExportError(f"the graph holds {node.op_type} in training mode; export a model in evaluation mode")
    for name, value in model.graph.initializers.items():
        array = value.const_value.numpy() if value.const_value is not None else np.zeros(0)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ExportError(f"the graph's weight {name} holds NaN or infinity")


def graph_bytes(model: onnx_ir.Model, properties: Mapping[str, str]) -> bytes:
    """Serialize a canonical graph with `properties` as its metadata, deterministically."""
    model.metadata_props.clear()
    model.metadata_props.update(dict(sorted(properties.items())))
    proto = onnx_ir.serde.serialize_model(model)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def manifest_bytes(values: Mapping[str, Any]) -> bytes:
    """Return manifest.json, deterministically; what the runtime would refuse is not written."""
    data = (json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
    Manifest.from_bytes(data)
    return data


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a stored zip of `files`, sorted, with fixed dates: equal content gives equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return an uncompressed `.npz` of `arrays`, deterministically."""
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return zip_bytes(files)


def _name_axes(graph: onnx_ir.Graph, axes: Mapping[str, tuple[str | None, ...]]) -> None:
    for value in (*graph.inputs, *graph.outputs):
        names = axes[str(value.name)]
        if value.shape is None or len(value.shape) != len(names):
            raise ExportError(f"{value.name}: found shape {value.shape}, expected {len(names)} dimensions")
        sizes = [name or size for name, size in zip(names, value.shape, strict=True)]
        for name, size in zip(names, value.shape, strict=True):
            if name is None and not isinstance(size, int):
                raise ExportError(f"{value.name}: a dimension became dynamic ({size}) that the family fixes")
        value.shape = onnx_ir.Shape(sizes)


def _rename_values(graph: onnx_ir.Graph) -> None:
    """Renumber inner values and nodes, and drop or rename their shapes: names repeat the exporter's internals."""
    shapes = named_shapes(graph)
    kept = {id(value) for value in (*graph.inputs, *graph.outputs, *graph.initializers.values())}
    for number, node in enumerate(graph):
        node.name = f"{node.op_type}_{number}"
        for position, value in enumerate(node.outputs):
            if id(value) not in kept:
                value.name = f"value_{number}_{position}" if position else f"value_{number}"
                value.shape = shapes.get(value)
                value.type = value.type if value in shapes else None


def _integer_attribute(node: onnx_ir.Node, name: str) -> int:
    attribute = node.attributes.get(name)
    return attribute.as_int() if attribute is not None and attribute.type == onnx_ir.AttributeType.INT else 0
