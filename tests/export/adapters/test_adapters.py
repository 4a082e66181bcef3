"""The adapters against the libraries themselves, with random weights."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from aeedge_export import ExportError, adapt
from aeedge_export.networks import libraries

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
POINTS = PROJECT["project"]["entry-points"][libraries.GROUP]


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """The entry points of this checkout, whatever is installed."""
    points = [EntryPoint(name, value, libraries.GROUP) for name, value in POINTS.items()]
    monkeypatch.setattr(libraries, "entry_points", lambda group: points)
    torch.manual_seed(0)


def facts(model):
    return model.pixels.name, model.channels, model.stride, model.latent_channels, model.patched


def test_diffusers_tiny():
    diffusers = pytest.importorskip("diffusers.models.autoencoders")
    blocks = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    network = diffusers.AutoencoderTiny(**blocks, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    assert facts(adapt(network)) == ("signed", 3, (2, 2), 4, False)


def test_diffusers_kl_whole_and_in_tiles():
    diffusers = pytest.importorskip("diffusers.models.autoencoders")
    kinds = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    network = diffusers.AutoencoderKL(**kinds, block_out_channels=(8, 8), norm_num_groups=4)
    network.enable_tiling()
    assert facts(adapt(network, whole=1 << 20)) == ("signed", 3, (2, 2), 4, False)
    assert facts(adapt(network, tile=(32, 32))) == ("signed", 3, (32, 32), 1024, True)
    assert network.use_tiling


def test_monai():
    nets = pytest.importorskip("monai.networks.nets")
    sizes = {"channels": (8, 8), "num_res_blocks": 1, "norm_num_groups": 4, "attention_levels": (False, False)}
    sizes |= {"with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False}  # slow on 6,144 positions
    network = nets.AutoencoderKL(2, in_channels=1, out_channels=1, latent_channels=3, **sizes)
    assert facts(adapt(network, whole=1 << 20)) == ("unit", 1, (2, 2), 3, False)
    with pytest.raises(ExportError, match="spatial_dims=2"):
        adapt(nets.AutoencoderKL(3, in_channels=1, out_channels=1, latent_channels=3, **sizes))


def test_compressai():
    models = pytest.importorskip("compressai.models")
    assert facts(adapt(models.FactorizedPrior(8, 12))) == ("unit", 3, (16, 16), 12, False)
    assert facts(adapt(models.MeanScaleHyperprior(8, 12))) == ("unit", 3, (16, 16), 12, False)
    with pytest.raises(ExportError, match="g_a"):
        adapt(models.CompressionModel())


def test_pythae():
    models = pytest.importorskip("pythae.models")
    network = models.VAE(models.VAEConfig(input_dim=(1, 28, 28), latent_dim=5))
    assert facts(adapt(network)) == ("unit", 1, (28, 28), 5, True)
