"""Devices of a run and how they work together; results depend on them only by rounding."""

from dataclasses import dataclass
from typing import Any

from aeedge.configuration import nearest
from aeedge_runtime.errors import ArgumentError, DeviceError

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
STRATEGIES = ("auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")

MOST_DEVICES = 1024
"""Devices of a node: each is a process."""


@dataclass(frozen=True)
class Hardware:
    """Passed on to Lightning Fabric.

    Attributes:
        accelerator: "auto", "cpu", "cuda" or "mps".
        devices: number of devices of a node, or "auto" for all.
        nodes: number of machines.
        strategy: "auto", "ddp" (one process a device), "ddp_spawn", "ddp_fork" or "ddp_notebook"; weights are
            replicated, batches divided.
        compile: let torch.compile fuse the objective; the first steps take a minute, later ones less time.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    nodes: int = 1
    strategy: str = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the names and numbers; whether this machine has such devices shows in `fabric`.

        Raises:
            ArgumentError: naming the value and what is expected.
        """
        for name, found, known in (
            ("accelerator", self.accelerator, ACCELERATORS),
            ("strategy", self.strategy, STRATEGIES),
        ):
            if found not in known:
                raise ArgumentError(f'{name}: found "{found}"{nearest(found, known)}')
        if self.devices != "auto" and not (isinstance(self.devices, int) and 1 <= self.devices <= MOST_DEVICES):
            raise ArgumentError(f'devices: found "{self.devices}", expected a number from 1 to {MOST_DEVICES} or auto')
        if self.nodes < 1:
            raise ArgumentError(f"nodes: found {self.nodes}, expected at least 1")

    def fabric(self, precision: Any) -> Any:
        """Return a `lightning.fabric.Fabric` for these devices.

        Raises:
            DeviceError: this machine has no such devices, or they do not work together like that.
        """
        from lightning.fabric import Fabric
        from lightning.fabric.accelerators.cuda import CUDAAccelerator
        from lightning.fabric.accelerators.mps import MPSAccelerator
        from lightning.fabric.utilities.exceptions import MisconfigurationException

        kinds = {"cuda": CUDAAccelerator, "mps": MPSAccelerator}
        if self.accelerator in kinds and not kinds[self.accelerator].is_available():
            raise DeviceError(f"accelerator: PyTorch finds no usable {self.accelerator} device; use cpu or auto")
        try:
            return Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                strategy=self.strategy,
                precision=precision,
            )
        except (MisconfigurationException, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise DeviceError(
                f"{self.devices} devices of accelerator {self.accelerator} with strategy {self.strategy} cannot be "
                f"used here ({reason})"
            ) from error
