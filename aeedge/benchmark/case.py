"""A case of a benchmark: one operation of one engine on one device at one size."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any, Self

from aeedge_runtime.errors import ArgumentError, InputError

AEEDGE = "aeedge"
TORCH = ("torch-eager", "torch-compile")
CLASSICS = ("jpeg", "webp", "avif")

OPERATIONS = ("compress", "decompress", "encode", "decode")
"""Image file to stream and back (an array where the input is one); array to latent and back."""

INPUTS = ("jpeg", "png", "array")
"""What compress starts from: a file's bytes, one per image, or one uint8 array of all images."""


@dataclass(frozen=True)
class Case:
    """One configuration; two measurements may be compared when their cases are equal.

    Attributes:
        engine: "aeedge", "torch-eager", "torch-compile", "jpeg", "webp" or "avif".
        operation: one of OPERATIONS.
        device: as `Codec.load` takes it.
        threads: threads inside one operator.
        batch: images in one call.
        width: columns of each image in pixels.
        height: rows of each image in pixels.
        quality: 1..100 of aeedge; a classic codec takes its lowest quality that reaches the same PSNR.
        input: one of INPUTS.
    """

    engine: str
    operation: str
    device: str
    threads: int
    batch: int
    width: int
    height: int
    quality: int
    input: str

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take a case out of JSON.

        Raises:
            InputError: a key is missing or unknown.
        """
        names = {field.name for field in fields(cls)}
        if set(content) != names:
            wrong = ", ".join(sorted(set(content) ^ names))
            raise InputError(f"benchmark config: missing or unknown {wrong}; measure again with this version")
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def pixels(self) -> int:
        """Pixels of one call."""
        return self.batch * self.width * self.height

    @property
    def size(self) -> str:
        """Size of an image, and how many where there are several."""
        return f"{self.width}x{self.height}" + (f" x {self.batch:,}" if self.batch > 1 else "")

    def __str__(self) -> str:
        where = f"{self.device}, {self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.engine} {self.operation} {self.size}, {where}, quality {self.quality}, {self.input}"


@dataclass(frozen=True)
class Grid:
    """The cases of a benchmark as lists to combine; see Case."""

    operations: tuple[str, ...]
    devices: tuple[str, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    quality: int
    input: str
    against: tuple[str, ...] = ()

    def cases(self) -> list[Case]:
        """Return every case once; those of other engines after ours."""
        engines = (AEEDGE, *self.against)
        return list(dict.fromkeys(case for engine in engines for case in self._of_engine(engine)))

    def _of_engine(self, engine: str) -> Iterable[Case]:
        operations = [name for name in self.operations if name in operations_of(engine)]
        devices = ("cpu",) if engine in CLASSICS else self.devices
        threads = (1,) if engine in ("jpeg", "webp") else self.threads
        for (width, height), batch, device, count, operation in product(
            self.sizes, self.batches, devices, threads, operations
        ):
            yield Case(engine, operation, device, count, batch, width, height, self.quality, self.input)


def operations_of(engine: str) -> tuple[str, ...]:
    """Return the operations that an engine has.

    Raises:
        ArgumentError: no such engine.
    """
    if engine == AEEDGE:
        return OPERATIONS
    if engine in TORCH:
        return OPERATIONS[2:]
    if engine in CLASSICS:
        return OPERATIONS[:2]
    raise ArgumentError(f"found engine {engine!r}, expected one of {', '.join((AEEDGE, *TORCH, *CLASSICS))}")
