"""Convolutions that repeat the border, and what a solid color comes to behind them."""

import pytest
import torch
from torch.nn import functional

from aeedge.models import padded
from aeedge.models.hyperprior import HyperpriorAutoencoder, HyperpriorConfig
from aeedge.models.padded import PaddedConv2d, replicate

pytestmark = pytest.mark.torch

SMALL = {"width": 8, "latent_channels": 8, "hidden": 4, "decoder_hidden": 4, "groups": (4, 4), "group_hidden": (4, 4)}

DECODED = torch.ones(1, 8, 4, 6)


def changed_blocks(padding):
    """A network whose residual blocks no longer are the identity."""
    torch.manual_seed(1)
    network = HyperpriorAutoencoder(HyperpriorConfig(padding=padding, **SMALL))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "widen" in name:
                weight.normal_(std=0.3)
    return network


@pytest.mark.parametrize("compiling", [False, True])
def test_the_border_is_repeated(compiling, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    value = torch.rand(2, 3, 4, 5)
    assert torch.equal(replicate(value, 2, 1), functional.pad(value, (1, 1, 2, 2), mode="replicate"))


def test_a_layer_is_that_of_torch():
    value = torch.rand(1, 3, 16, 24)
    ours = PaddedConv2d(3, 4, 12, stride=8, padding=2, padding_mode="replicate")
    theirs = torch.nn.Conv2d(3, 4, 12, stride=8, padding=2, padding_mode="replicate")
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(value), theirs(value))
    assert ours(value).shape == (1, 4, 2, 3)


def test_compiled_code_has_no_replication_operator(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(padded.functional, "pad", None)
    assert replicate(torch.ones(1, 1, 2, 2), 1, 1).shape == (1, 1, 4, 4)


def test_a_solid_color_has_no_border_behind_replicated_padding():
    image = torch.tensor([0.0, 0.0, 1.0])[None, :, None, None].expand(1, 3, 64, 96)
    spread = {}
    for padding in ("zeros", "replicate"):
        network = changed_blocks(padding)
        with torch.no_grad():
            for part, value in (("encoder", network.encode(image)), ("decoder", network.decoder.coarse(DECODED))):
                spread[padding, part] = (value - value[:, :, :1, :1]).abs().max().item()
    assert max(spread["replicate", part] for part in ("encoder", "decoder")) < 1e-4
    assert min(spread["zeros", part] for part in ("encoder", "decoder")) > 1e-2
