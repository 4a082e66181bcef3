"""Checkpoint to bundle: ONNX graphs, integer tables, parity gate.

Importing this package does no work; torch and onnx are loaded when something is exported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from aeedge_export.errors import ExportError, ParityError

if TYPE_CHECKING:
    from aeedge_export.export import (
        DecoderStart,
        ExportReport,
        Source,
        decoder_start,
        export_bundle,
        export_model,
        export_run,
    )

__all__ = [
    "DecoderStart",
    "ExportError",
    "ExportReport",
    "ParityError",
    "Source",
    "decoder_start",
    "export_bundle",
    "export_model",
    "export_run",
]


def __getattr__(name: str) -> object:
    """Import the exporter when one of its names is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("aeedge_export.export"), name)
