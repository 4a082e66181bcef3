import pytest
import torch

from aeedge_export import ExportError
from aeedge_export.frozen import frozen_copy
from aeedge_export.graphs.build import export_graph, graph_specs
from aeedge_export.weights import check_weights, with_float16_weights

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused_by_name(source, value):
    model = frozen_copy(source("dense").model)
    name, weight = next(iter(model.state_dict().items()))
    weight.view(-1)[3] = value
    with pytest.raises(ExportError, match=name):
        check_weights(model)
    with pytest.raises(ExportError, match="NaN or infinity"):
        export_graph(graph_specs(model)["encoder"])


def test_rounding_leaves_the_model_alone_and_refuses_what_is_too_large(source):
    model = source("dense").model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rounded = with_float16_weights(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(tensor, tensor.half().float()) for tensor in rounded.state_dict().values())
    with torch.no_grad():
        rounded.state_dict()[next(iter(before))].view(-1)[0] = 70_000
    with pytest.raises(ExportError, match=r"is beyond 65504.*without --store-float16"):
        with_float16_weights(rounded)
