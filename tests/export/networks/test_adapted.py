import copy

import pytest
import tiny_networks as tiny
import torch

from aeedge_export import adapt
from aeedge_export.networks.adapted import used_tensors

pytestmark = pytest.mark.torch


def test_pixels_reach_the_network_in_its_own_numbers():
    network = tiny.Plain()
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        signed = adapt(network, pixels="signed")
        assert torch.allclose(signed.encode(image), network.encoder(2 * image - 1), atol=1e-6)
        latent = signed.encode(image)
        assert torch.allclose(signed.decode(latent), (network.decoder(latent) + 1) / 2, atol=1e-6)


def test_only_what_the_encoder_uses_counts():
    model = adapt(tiny.Methods())
    assert set(used_tensors(model)) == {
        *(f"network.a.{name}" for name in ("weight", "bias")),
        *(f"network.norm.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
    }


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda model: model.decoder.network.b.weight.data.mul_(2), True),
        (lambda model: model.encoder.network.a.weight.data.mul_(2), False),
        (lambda model: model.encoder.network.norm.running_mean.add_(1), False),
    ],
)
def test_a_new_decoder_keeps_the_hash_and_a_new_encoder_does_not(change, same):
    model = adapt(tiny.Methods())
    other = copy.deepcopy(model)
    change(other)
    assert (model.encoder_hash() == other.encoder_hash()) is same


def test_other_pixels_and_cells_are_another_latent():
    network = tiny.Methods()
    hashes = {adapt(network, **options).encoder_hash() for options in ({}, {"pixels": "signed"}, {"tile": (64, 64)})}
    assert len(hashes) == 3
