import numpy as np
import pytest
from chains import outputs

from aeedge_export.precision.equalize import channel_ranges, equalize
from aeedge_export.precision.int8 import quantizable

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]


def test_equalizing_keeps_the_function_and_evens_the_ranges(chain):
    model, feeds = chain
    changed = equalize(model, quantizable(model), feeds)
    for ours, theirs in zip(outputs(changed, feeds), outputs(model, feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    uneven, even = (channel_ranges(graph, ["r0"], feeds)["r0"] for graph in (model, changed))
    assert uneven.max() / uneven[uneven > 0].min() > 20
    assert even[even > 0].min() > 0.5 * even.max()
    assert [node.op_type for node in changed.graph.node].count("Mul") == 2  # at the ends; folded in between
