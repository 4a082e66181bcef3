"""The report of an export: files, parity, facts, and the commands to run next."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aeedge_export.checks.parity import Parity
from aeedge_export.precision.cost import Price


@dataclass(frozen=True)
class ExportReport:
    """A bundle that was written.

    Attributes:
        path: folder or `.aeb` file.
        stream_id: 16 hex digits.
        files: name -> bytes of each file of the bundle.
        total_bytes: bytes of all files.
        parity: measurements of the gate: against PyTorch, or, in another precision, against the float32 bundle.
        facts: tables, dead channels, bits per latent position at some qualities; `rates` is of `checks.rates`.
        next_commands: commands that a user is likely to run next.
        price: cost and gain of a reduced precision on this machine, or None.
    """

    path: Path
    stream_id: str
    files: Mapping[str, int]
    total_bytes: int
    parity: Parity
    facts: Mapping[str, Any] = field(default_factory=dict)
    next_commands: tuple[str, ...] = ()
    price: Price | None = None

    @classmethod
    def of(
        cls,
        files: Mapping[str, bytes],
        target: Path,
        only: str | None,
        parity: Parity,
        facts: Mapping[str, Any],
        price: Price | None = None,
    ) -> Self:
        """Return the report of files written to `target`; `only` names the half that they are."""
        sizes = {name: len(data) for name, data in sorted(files.items())}
        stream = str(json.loads(files["manifest.json"])["stream_id"])
        return cls(target, stream, sizes, sum(sizes.values()), parity, facts, next_commands(target, only), price)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "path": str(self.path),
            "stream_id": self.stream_id,
            "files": dict(self.files),
            "total_bytes": self.total_bytes,
            "facts": dict(self.facts),
            "parity": self.parity.as_dict(),
            "next_commands": list(self.next_commands),
            "price": self.price.as_dict() if self.price else None,
        }


def next_commands(target: Path, only: str | None) -> tuple[str, ...]:
    """Return the commands that a user is likely to run next on a bundle, or on one half of it."""
    commands = [f"aeedge verify {target}"]
    if only != "decoder":
        commands.append(f"aeedge compress IMAGE -m {target} -o IMAGE.aee")
    if only != "encoder":
        commands.append(f"aeedge decompress IMAGE.aee -m {target} -o IMAGE.png")
    return tuple(commands)
