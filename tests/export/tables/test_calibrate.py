import copy
import dataclasses

import pytest
import torch

from aeedge_export import ExportError, export_source
from aeedge_runtime import Bundle, Codec
from aeedge_runtime.errors import AeedgeWarning

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality")]


@pytest.mark.parametrize("family", ["dense", "conv", "hyperprior", "vae"])
@pytest.mark.parametrize(("half", "what"), [("encoder", "latents"), ("decoder", "pixels")])
def test_a_model_that_has_diverged_is_refused_and_nothing_is_written(source, tmp_path, family, half, what):
    model = copy.deepcopy(source(family).model)
    with torch.no_grad():
        for parameter in getattr(model, half).parameters():
            parameter.copy_((parameter * 1e38).clamp(-3e38, 3e38))
    wild = dataclasses.replace(source(family), model=model)
    with pytest.raises(ExportError, match=f"the model gives {what} of .* has diverged; train again"):
        export_source(wild, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_constant_encoder_is_exported_only_by_force(source, tmp_path):
    model = copy.deepcopy(source("dense").model)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    dead = dataclasses.replace(source("dense"), model=model)
    with pytest.raises(ExportError, match="every latent channel is constant"):
        export_source(dead, tmp_path / "bundle")
    with pytest.warns(AeedgeWarning, match="every latent channel is constant"):
        report = export_source(dataclasses.replace(dead, allow_dead=True), tmp_path / "bundle")
    assert report.facts["dead_channels"] == 6
    codec = Codec.load(Bundle.load(report.path))
    assert codec.decompress(codec.compress(source("dense").held_out[0])).shape == (8, 8, 1)
