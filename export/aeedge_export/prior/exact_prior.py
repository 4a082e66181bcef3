"""The exact prior of a model: its sizes for the manifest, and the proof that it is exact."""

from aeedge.models.exact import EXACT_UNITS
from aeedge.models.exact_prior import HYPER_STRIDE, ExactPrior
from aeedge_export.errors import ExportError
from aeedge_runtime.bundle.manifest import PriorFacts


def prior_facts(prior: ExactPrior) -> PriorFacts:
    """Return what the manifest says of a prior."""
    return PriorFacts("hyperprior", prior.config.hyper_channels, HYPER_STRIDE, prior.passes, prior.groups)


def check_exact(prior: ExactPrior) -> None:
    """Refuse a prior whose table indices float32 could compute differently on another machine.

    Raises:
        ExportError: a partial sum can reach 2^24 units.
    """
    largest = prior.prior.scale.largest_sum()
    if largest >= EXACT_UNITS:
        raise ExportError(
            f"the exact prior can reach a partial sum of {largest} units, float32 is exact below {EXACT_UNITS}; "
            "train with smaller weights in prior.scale"
        )
