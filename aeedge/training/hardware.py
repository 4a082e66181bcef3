"""What a machine decides about a run: devices and how they work together; results depend on it by rounding only."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hardware:
    """Passed on to Lightning Fabric.

    Attributes:
        accelerator: "auto", "cpu", "cuda" or "mps".
        devices: number of devices of a node, or "auto" for all.
        nodes: number of machines.
        strategy: "auto", "ddp" (one process a device), "ddp_spawn"; weights are replicated, batches divided.
        compile: let torch.compile fuse the objective; the first steps take a minute, later ones less time.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    nodes: int = 1
    strategy: str = "auto"
    compile: bool = False

    def fabric(self, precision: Any) -> Any:
        """Return a `lightning.fabric.Fabric` for these devices."""
        from lightning.fabric import Fabric

        return Fabric(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=self.strategy,
            precision=precision,
        )
