import pytest

from aeedge_export import ExportError
from aeedge_export.frozen import frozen_copy
from aeedge_export.prior.exact_prior import check_exact

pytestmark = pytest.mark.torch


def test_an_exact_prior_that_float32_could_round_is_refused(source):
    model = frozen_copy(source("hyperprior").model)
    check_exact(source("hyperprior").model.exact_prior)
    model.prior.scale.largest_sum = lambda: 2**24
    with pytest.raises(ExportError, match="16777216"):
        check_exact(model.exact_prior)
