"""Optional dependencies: which libraries an extra installs, and how to ask for one before any work is done."""

import importlib.util
from collections.abc import Sequence

from aeedge_runtime.errors import AeedgeError

TRAIN_MODULES = (
    *("torch", "torchvision", "onnx", "onnxscript", "onnx_ir", "lightning", "rich", "torchmetrics", "safetensors"),
    *("tensorboard", "matplotlib", "scipy", "bjontegaard", "ssimulacra2"),
)
"""Import names of what the `train` extra installs; the last four are the `report` extra."""


SERVE_MODULES = ("fastapi", "uvicorn", "prometheus_client")
"""Import names of what the `serve` extra installs."""

REMOTE_MODULES = ("fsspec",)
"""Import names of what the `remote` extra installs."""

HUB_MODULES = ("huggingface_hub",)
"""Import names of what the `hub` extra installs."""

RAY_MODULES = ("ray", "pyarrow")
"""Import names of what the `ray` extra installs."""


def require_extra(extra: str, modules: Sequence[str], purpose: str) -> None:
    """Check that libraries of an extra are installed, without importing them.

    Args:
        extra: its name.
        modules: import names.
        purpose: what needs them, with its verb: "charts need".

    Raises:
        AeedgeError: one is missing; the message says what to install.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise AeedgeError(f'{missing[0]} is not installed, but {purpose} it; run: pip install "aeedge[{extra}]"')
