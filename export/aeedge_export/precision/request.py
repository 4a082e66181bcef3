"""A request for another precision than float32, checked before any work."""

from dataclasses import dataclass
from typing import Self

from aeedge_export.precision.int8 import Target, find_target
from aeedge_runtime.bundle.manifest import HALVES, PRECISIONS
from aeedge_runtime.errors import ArgumentError


@dataclass(frozen=True)
class Request:
    """Precision and the graphs that get it.

    Attributes:
        precision: "fp16" or "int8".
        graphs: "encoder", "decoder" or both.
        target: the processor that 8-bit graphs are for.
    """

    precision: str
    graphs: tuple[str, ...]
    target: Target

    @classmethod
    def parse(cls, precision: str, quantize: str | None, target: str | None) -> Self | None:
        """Return the request that the options of a precision make; None for float32.

        Raises:
            ArgumentError: an unknown value, or an option that does not apply.
        """
        if precision not in PRECISIONS:
            raise ArgumentError(f'precision: found "{precision}", expected {", ".join(PRECISIONS)}')
        if quantize not in (None, *HALVES):
            raise ArgumentError(f'quantize: found "{quantize}", expected "encoder" or "decoder"')
        if target is not None and precision != "int8":
            raise ArgumentError(f"target: applies to int8 only, not to {precision}; leave it out")
        if precision == "fp32":
            if quantize is not None:
                raise ArgumentError("quantize: does not apply to fp32; choose --precision fp16 or int8")
            return None
        return cls(precision, (quantize,) if quantize else HALVES, find_target(target))


def check_half(only: str | None, request: Request | None) -> None:
    """Refuse a half that does not exist, or one that the request leaves unchanged.

    Raises:
        ArgumentError: naming the option and what it takes.
    """
    if only is None:
        return
    if only not in HALVES:
        raise ArgumentError(f'only: found "{only}", expected "encoder" or "decoder"')
    if request is not None and only not in request.graphs:
        raise ArgumentError(
            f'quantize: "{request.graphs[0]}" cannot be combined with "only: {only}", which does not write it'
        )
