"""Checkpoint to bundle: ONNX graphs, integer tables, parity gate.

Importing this package does no work; torch and onnx are loaded when something is exported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from aeedge_export.errors import ExportError, ParityError

if TYPE_CHECKING:
    from aeedge_export.decoder_only import DecoderStart, decoder_start
    from aeedge_export.export import export_bundle, export_run, export_source
    from aeedge_export.export_network import export_model, export_onnx
    from aeedge_export.networks.onnx_files import adapt_onnx
    from aeedge_export.networks.torch_pair import adapt
    from aeedge_export.prior.fit_bundle import fit_prior
    from aeedge_export.report import ExportReport
    from aeedge_export.source import Source

__all__ = [
    "DecoderStart",
    "ExportError",
    "ExportReport",
    "ParityError",
    "Source",
    "adapt",
    "adapt_onnx",
    "decoder_start",
    "export_bundle",
    "export_model",
    "export_onnx",
    "export_run",
    "export_source",
    "fit_prior",
]

_MODULES = {
    "DecoderStart": "decoder_only",
    "ExportReport": "report",
    "Source": "source",
    "adapt": "networks.torch_pair",
    "adapt_onnx": "networks.onnx_files",
    "decoder_start": "decoder_only",
    "export_bundle": "export",
    "export_model": "export_network",
    "export_onnx": "export_network",
    "export_run": "export",
    "export_source": "export",
    "fit_prior": "prior.fit_bundle",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aeedge_export.{_MODULES[name]}"), name)
