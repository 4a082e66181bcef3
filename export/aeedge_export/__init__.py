"""Checkpoint to bundle: ONNX graphs, integer tables, parity gate.

Importing this package does no work; torch and onnx are loaded when something is exported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from aeedge_export.errors import ExportError, ParityError

if TYPE_CHECKING:
    from aeedge_export.decoder_only import DecoderStart, decoder_start
    from aeedge_export.export import export_bundle, export_run, export_source
    from aeedge_export.report import ExportReport
    from aeedge_export.source import Source

__all__ = [
    "DecoderStart",
    "ExportError",
    "ExportReport",
    "ParityError",
    "Source",
    "decoder_start",
    "export_bundle",
    "export_run",
    "export_source",
]

_MODULES = {
    "DecoderStart": "decoder_only",
    "ExportReport": "report",
    "Source": "source",
    "decoder_start": "decoder_only",
    "export_bundle": "export",
    "export_source": "export",
    "export_run": "export",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aeedge_export.{_MODULES[name]}"), name)
