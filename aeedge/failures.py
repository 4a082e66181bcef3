"""Turns any exception into one line of text and an exit code."""

import errno
import importlib.util
from collections.abc import Sequence

import click

from aeedge.console import printable
from aeedge_runtime.errors import AeedgeError

TRAIN_MODULES = (
    *("torch", "torchvision", "onnx", "onnxscript", "onnx_ir", "lightning", "rich", "torchmetrics", "safetensors"),
    *("tensorboard", "matplotlib", "scipy", "bjontegaard", "ssimulacra2"),
)
"""What the `train` extra brings, by import name; the last three are the `report` extra."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell would give it."""

TRACEBACK_VARIABLE = "AEEDGE_TRACEBACK"
"""Environment variable that, when set, lets tracebacks through."""


def require_report(modules: Sequence[str], purpose: str) -> None:
    """Refuse, before any work, what needs the `report` extra; nothing is imported.

    Args:
        modules: import names.
        purpose: what needs them, with its verb: "pictures need".

    Raises:
        AeedgeError: naming what to install.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise AeedgeError(f'found no {missing[0]}, which {purpose}; run: pip install "aeedge[report]"')


def explain(error: BaseException) -> tuple[str, int]:
    """Return an error as one line of text and its exit code."""
    if isinstance(error, AeedgeError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "aeedge"
        return f"{error.format_message()}  (see {where} --help)", 2
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in TRAIN_MODULES:
        return f'found no {error.name}, which training and export need; run: pip install "aeedge[train]"', 1
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        return f"a library cannot be loaded: {_first_cause(error)}; allow more memory, or install it again", 1
    if isinstance(error, MemoryError):
        return "out of memory; use smaller images, or fewer at once", 1
    if isinstance(error, OSError):
        return explain_os(error), 1
    kind = type(error).__name__
    return f"internal error: {kind}: {error}; {TRACEBACK_VARIABLE}=1 shows where, please report it", 1


def _first_cause(error: BaseException) -> str:
    """What the error at the start of a chain says, on one line: NumPy wraps it in a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200]


def explain_os(error: OSError) -> str:
    """Return an operating system's error as text that names the file and, where there is one, a remedy."""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = {
        errno.ENOSPC: "; free some space, the output was not written",
        errno.EFBIG: "; the output was not written",
        errno.ENAMETOOLONG: "; choose a shorter name with -o",
        errno.ENXIO: "; start what reads that FIFO or socket first",
    }.get(error.errno or 0, "")
    name = f"{printable(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    return f"{name}{reason}{remedy}"
