import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore:quality")]


def test_halves_of_a_hyperprior_hold_what_their_side_needs(hyper_draft):
    for only, roles in {
        "encoder": {"encoder", "hyper_encoder", "prior", "context", "group_1", "group_2"},
        "decoder": {"decoder", "prior", "context", "group_1", "group_2"},
    }.items():
        names = {name for name in hyper_draft.files((only,)) if name.endswith(".onnx")}
        assert names == {f"{role}.onnx" for role in roles}
