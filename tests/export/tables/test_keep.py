import copy
import dataclasses

import pytest
import torch

from aeedge_export import export_source
from aeedge_runtime import ArgumentError, Bundle, Codec
from aeedge_runtime.bundle.tables import read_arrays

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore:quality")]


def test_a_new_decoder_keeps_the_stream_id_with_the_old_tables(bundles, source, tmp_path):
    old = bundles("dense")
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter *= 1.01
    new = dataclasses.replace(source("dense"), model=model)
    report = export_source(new, tmp_path / "new", tables_from=old.path)
    assert report.stream_id == old.stream_id
    image = source("dense").held_out[0]
    Codec.load(report.path).decompress(Codec.load(old.path).compress(image))
    tables = read_arrays(Bundle.load(old.path).read("entropy.npz"))
    kept = dataclasses.replace(new, tables=tables)  # as a run has them that trained its decoder alone
    assert export_source(kept, tmp_path / "kept").stream_id == old.stream_id


def test_tables_of_another_encoder_are_refused(bundles, source, tmp_path):
    with pytest.raises(ArgumentError, match="another encoder"):
        export_source(source("vae"), tmp_path / "bundle", tables_from=bundles("dense").path)


def test_tables_of_another_encoder_are_refused_whatever_float16_holds(bundles, source, tmp_path):
    model = copy.deepcopy(source("vae").model)
    with torch.no_grad():
        next(iter(model.decoder.parameters())).view(-1)[0] = 7e4
    large = dataclasses.replace(source("vae"), model=model)
    with pytest.raises(ArgumentError, match="another encoder"):
        export_source(large, tmp_path / "bundle", tables_from=bundles("dense").path)
