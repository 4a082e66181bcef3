"""Requests to the measuring processes, and their replies, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from aeedge.benchmark.case import Case


@dataclass(frozen=True)
class Effort:
    """Amount of measuring.

    Attributes:
        repeats: fresh processes per case; an even number, as the even ones are compared with the odd ones.
        warmup: least calls after the first, before those that count.
        warmup_seconds: short calls warm up for at least this time.
        samples: timed calls per process.
        samples_seconds: short calls are timed for at least this time, up to MOST_SAMPLES of them.
        seconds: no further call of a process starts after this time, once there are LEAST_SAMPLES.
    """

    repeats: int = 4
    warmup: int = 2
    warmup_seconds: float = 0.2
    samples: int = 20
    samples_seconds: float = 0.2
    seconds: float = 10.0


QUICK = Effort(repeats=2, warmup=1, warmup_seconds=0.1, samples=5, samples_seconds=0.0, seconds=1.0)

LEAST_SAMPLES = 3
MOST_SAMPLES = 250


@dataclass(frozen=True)
class Request:
    """One process: one case, once.

    Attributes:
        case: what to time.
        bundle: place or name.
        run: the run folder for PyTorch, or None.
        material: folder of inputs and expected results.
        effort: how much.
        target_psnr_db: for classic codecs.
    """

    case: Case
    bundle: str
    run: str | None
    material: str
    effort: Effort
    target_psnr_db: float | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take a request out of JSON."""
        return cls(**{**content, "case": Case.from_dict(content["case"]), "effort": Effort(**content["effort"])})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def run_folder(self) -> Path | None:
        """The run folder as a path."""
        return None if self.run is None else Path(self.run)


@dataclass(frozen=True)
class Reply:
    """What a process measured.

    Attributes:
        import_ms: time to import the runtime with numpy and onnxruntime (for PyTorch: torch), in a warm file cache.
        load_ms: time to load the model and open its graphs.
        first_run_ms: the first call.
        samples_ns: time by stage of every timed call; they add up to the call.
        joules: energy of the timed calls, or None where the platform does not report it.
        base_bytes: resident memory before the first call.
        peak_bytes: largest resident memory from then on.
        providers: what ran each graph.
        facts: of the result: bytes, psnr_db, codec_quality where they apply.
        warnings: what the runtime warned of.
    """

    import_ms: float
    load_ms: float
    first_run_ms: float
    samples_ns: list[dict[str, int]]
    joules: float | None
    base_bytes: int | None
    peak_bytes: int | None
    providers: dict[str, str]
    facts: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
