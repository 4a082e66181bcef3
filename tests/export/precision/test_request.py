import pytest

from aeedge_export import export_run
from aeedge_export.precision.request import Request
from aeedge_runtime import ArgumentError

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("fp64", None, None), 'precision: found "fp64"'),
        (("fp32", "encoder", None), "quantize: does not apply"),
        (("int8", "prior", None), 'quantize: found "prior"'),
        (("fp16", None, "x86"), "target: applies to int8 only"),
        (("int8", None, "sparc"), 'target: found "sparc"'),
    ],
)
def test_options_that_do_not_apply(options, message):
    with pytest.raises(ArgumentError, match=message):
        Request.parse(*options)


def test_a_graph_that_is_not_written_cannot_be_changed(tmp_path):
    with pytest.raises(ArgumentError, match='"decoder" cannot be combined with "only: encoder"'):
        export_run("none", tmp_path / "bundle", only="encoder", quantize="decoder", precision="fp16")
