"""Errors of the export: the model, not the user's input, is what went wrong.

AeedgeError                      exit code 1
└── ExportError                  the model cannot be exported as it is
    └── ParityError              the graphs do not compute what PyTorch computes
"""

from aeedge_runtime.errors import AeedgeError


class ExportError(AeedgeError):
    """A model cannot be exported as it is (weights that are not finite, training-only operations, ...)."""


class ParityError(ExportError):
    """The exported graphs do not compute what PyTorch computes; the message lists every limit that is missed."""
