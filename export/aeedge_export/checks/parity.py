"""Limits of the parity gate and what was measured against them."""

from dataclasses import dataclass
from typing import Any

from aeedge_export.errors import ParityError

LATENT_LIMIT = 1e-3
"""Largest difference of a latent (and of a hyperprior's mean and hyper-latent), in quantizer steps of quality 100."""

SYMBOL_SHARE = 1e-4
"""Largest share of symbols that differ ..."""

SYMBOL_LIMIT = 1
"""... and largest difference of one."""

PIXEL_LIMIT = 1
"""Largest difference of a pixel, of 255, when both decode the same symbols."""

PSNR_LIMIT_DB = 0.01
BYTES_SHARE = 1e-3


@dataclass(frozen=True)
class Check:
    """One limit.

    Attributes:
        name: what is compared.
        measured: what was found.
        limit: what is allowed, at most.
        unit: of both.
    """

    name: str
    measured: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether the limit holds; a measurement that is not a number never does."""
        return bool(self.measured <= self.limit)

    def __str__(self) -> str:
        """One line for people."""
        text = f"{self.name}: {self.measured:.3g} (limit {self.limit:g}) {self.unit}"
        return text.rstrip() + ("" if self.passed else "  MISSED")


@dataclass(frozen=True)
class Parity:
    """Everything the gate measured.

    Attributes:
        checks: one per limit.
        qualities: at which symbols, pixels and bytes were compared.
        cases: batch, height and width of what was compared.
        symbols: symbols compared at each quality.
    """

    checks: tuple[Check, ...]
    qualities: tuple[int, ...]
    cases: tuple[tuple[int, int, int], ...]
    symbols: int

    @property
    def passed(self) -> bool:
        """Whether every limit holds."""
        return all(check.passed for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for parity.json; measurements keep three digits."""
        return {
            "schema": 1,
            "passed": self.passed,
            "optimisation": "as shipped (onnxruntime's default, all)",
            "qualities": list(self.qualities),
            "cases": [{"batch": batch, "height": height, "width": width} for batch, height, width in self.cases],
            "symbols_per_quality": self.symbols,
            "checks": [
                {
                    "name": check.name,
                    "measured": float(f"{check.measured:.3g}"),
                    "limit": check.limit,
                    "unit": check.unit,
                    "passed": check.passed,
                }
                for check in self.checks
            ],
        }

    def require(self, fault: str = "the exported graphs do not compute what PyTorch computes") -> None:
        """Pass, or refuse.

        Args:
            fault: what a missed limit means.

        Raises:
            ParityError: a limit is missed; every one of them is listed.
        """
        missed = "; ".join(str(check).removesuffix("  MISSED") for check in self.checks if not check.passed)
        if missed:
            raise ParityError(f"{fault}: {missed}; no bundle was written")
