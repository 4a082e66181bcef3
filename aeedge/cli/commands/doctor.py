"""`aeedge doctor`: shows what works on this machine, and what to do about the rest."""

import importlib.util
from typing import TYPE_CHECKING

import click

from aeedge.cli.console import print_json, say, warn
from aeedge.cli.options.shared import json_option
from aeedge.extras import TRAIN_MODULES

if TYPE_CHECKING:
    from aeedge_runtime import Diagnosis

UNHEALTHY = 5
"""Exit code if not even the CPU works: that of an unavailable device."""


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Show versions, test every device with a small graph, and name what is missing."""
    from aeedge_runtime import diagnose

    diagnosis = diagnose()
    missing = [name for name in TRAIN_MODULES if importlib.util.find_spec(name) is None]
    if as_json:
        print_json({"command": "doctor", "diagnosis": diagnosis.as_dict(), "training_missing": missing})
    else:
        _show(diagnosis, missing)
    return 0 if diagnosis.healthy else UNHEALTHY


def _show(diagnosis: "Diagnosis", missing: list[str]) -> None:
    rows = {
        "aeedge": diagnosis.aeedge,
        "Python": diagnosis.python,
        "system": diagnosis.system,
        "numpy": diagnosis.numpy,
        "Pillow": diagnosis.pillow or "not installed; run: pip install Pillow",
        "onnxruntime": diagnosis.onnxruntime.partition(" (")[0] or "not working",
        "installed as": ", ".join(f"{name} {version}" for name, version in diagnosis.backends.items()) or "-",
        "providers": ", ".join(diagnosis.providers) or "-",
        "GPUs": ", ".join(f"{gpu.name}, driver {gpu.driver}, {gpu.memory_mib} MiB" for gpu in diagnosis.gpus) or "none",
        "threads": str(diagnosis.threads),
        "bundles": ", ".join(diagnosis.bundles) or "none",
    }
    for title, value in rows.items():
        say(f"{title:14}{value}")
    for trial in diagnosis.trials:
        outcome = f"works, opened in {trial.open_ms:.0f} ms" if trial.works else f"unavailable: {trial.fault}"
        say(f"{'device':14}{trial.device} {outcome}")
    absent = f'missing {", ".join(missing)}; run: pip install "aeedge[train]"'
    say(f"{'training':14}{absent if missing else 'available'}")
    if diagnosis.backend_fault:
        say(f"{'remedy':14}{diagnosis.backend_fault}")
    for fault in diagnosis.outdated.values():
        warn(fault)
