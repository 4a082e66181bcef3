"""A network of one's own as a run: trained, resumed, exported, and refused when it has changed."""

import pytest
import torch

from aeedge.training.config import DataConfig
from aeedge.training.hardware import Hardware
from aeedge.training.initial import change
from aeedge.training.loop import train
from aeedge.training.run import logbook
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, load_run, read_config
from aeedge_export import decoder_start, export_run
from aeedge_export.networks.trainable import TrainableNetwork
from aeedge_export.networks.user_code import NetworkFile
from aeedge_runtime import AeedgeError, ArgumentError, Bundle

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:quality", "ignore:every latent", "ignore:these are"),
]

CODE = """
import torch
from pathlib import Path
from torch import nn

Path("executed").touch()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 2, 2))
        self.dec = nn.Sequential(nn.ConvTranspose2d(4, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 4))
        self.variance = nn.Linear(3, 3)

    def encode(self, image):
        self.kept = self.enc(image)
        return self.kept, self.kept * 2

    def decode(self, latent):
        return self.dec(latent)

class Tanh(Net):
    def encode(self, image):
        return torch.tanh(self.enc(image))

class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 6))
        self.decoder = nn.Sequential(nn.Linear(6, 784), nn.Unflatten(1, (1, 28, 28)))
"""
QUICK = [f"training.{key}" for key in ("max_steps=2", "batch_size=2", "validate_steps=1")] + ["data.crop=[32,32]"]
CPU = Hardware(accelerator="cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(logbook, "save_curves", lambda path, rows: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(CODE)
    (folder / "swapped.py").write_text(CODE.replace("nn.ReLU()", "nn.LeakyReLU(0.05)"))
    (folder / "wider.py").write_text(CODE.replace("nn.Conv2d(8, 4", "nn.Conv2d(8, 5").replace("(4, 8", "(5, 8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(logbook, "save_curves", lambda path, rows: None)
        network = named(folder, "mine.py")
        config = change(network.config(DataConfig(source="synthetic-photos", count=8)).to_dict(), QUICK)
        train(config, folder / "run", hardware=CPU, network=network)
        (folder / "executed").unlink()
    return folder


def named(folder, file, name="Net"):
    return TrainableNetwork(NetworkFile(folder / file, name), {"pixels": "unit"})


def test_a_run_keeps_hash_copy_and_witness(folder):
    config = read_config(folder / "run")
    assert config.model["sha256"] == NetworkFile(folder / "mine.py", "Net").sha256()
    assert (folder / "run" / "network.py.txt").read_text() == CODE
    assert config.training.loss.kind == "rate-distortion"
    tensors, _ = read_checkpoint(checkpoint_path(folder / "run", "best"))
    assert {name for name in tensors if name.startswith("witness.")} == {
        "witness.image",
        "witness.latent",
        "witness.pixels",
    }


def test_a_hostile_run_is_never_imported(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(folder / "run")
    (folder / "run" / "mine.py").write_text(CODE)
    for use in (
        lambda: load_run(folder / "run"),
        lambda: export_run(folder / "run", tmp_path / "bundle"),
        lambda: decoder_start(folder / "run"),
        lambda: train(read_config(folder / "run"), folder / "run", hardware=CPU, resume=True),
    ):
        with pytest.raises(ArgumentError, match=r"FILE\.py:NAME"):
            use()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("file", "reason"), [("swapped.py", "has changed"), ("wider.py", "5 latent channels")])
def test_a_class_that_has_changed_is_refused(folder, tmp_path, monkeypatch, file, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=reason):
        export_run(folder / "run", tmp_path / "bundle", network=named(folder, file))
    config = change(read_config(folder / "run").to_dict(), ("training.max_steps=3",))
    with pytest.raises(ArgumentError, match=reason):
        train(config, folder / "run", hardware=CPU, resume=True, network=named(folder, file))


def test_a_checkpoint_without_a_witness_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from aeedge.training.run.witness import check_witness

    model = load_run(folder / "run", network=named(folder, "mine.py")).model
    with pytest.raises(AeedgeError, match="witness"):
        check_witness(model, {}, folder)


def test_a_run_is_exported_and_a_new_decoder_keeps_its_stream_id(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = TrainableNetwork.of_run(NetworkFile(folder / "mine.py", "Net"), read_config(folder / "run").model)
    first = export_run(folder / "run", tmp_path / "first.aeb", network=network)
    assert Bundle.load(first.path).manifest.family == "conv"
    start = decoder_start(folder / "run", first.path, network=network)
    config = change(read_config(folder / "run").to_dict(), ("training.trainable=decoder",))
    train(config, tmp_path / "second", hardware=CPU, weights=start.weights, tables=start.tables, network=network)
    second = export_run(tmp_path / "second", tmp_path / "second.aeb", network=network)
    assert second.stream_id == first.stream_id
    before, after = (load_run(run, network=network).model for run in (folder / "run", tmp_path / "second"))
    assert torch.equal(before.encoder.network.enc[0].weight, after.encoder.network.enc[0].weight)
    assert not torch.equal(before.decoder.network.dec[0].weight, after.decoder.network.dec[0].weight)


def test_the_same_network_twice_gives_the_same_weights(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(read_config(folder / "run"), tmp_path / "again", hardware=CPU, network=named(folder, "mine.py"))
    found = [read_checkpoint(checkpoint_path(run, "last"))[0] for run in (folder / "run", tmp_path / "again")]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_config_suits_the_network(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bounded = named(folder, "mine.py", "Tanh").config(DataConfig(source="synthetic-photos", count=4))
    assert bounded.training.loss.step_range[1] < 0.5
    assert bounded.data.crop == (128, 128)
    digits = named(folder, "mine.py", "Digits").config(DataConfig(source="synthetic", count=40))
    assert (digits.model["patch"], digits.training.loss.kind, digits.data.crop) == ([28, 28], "reconstruction", None)
    small = change(digits.to_dict(), ("training.max_steps=1",))
    train(small, tmp_path / "digits", hardware=CPU, network=named(folder, "mine.py", "Digits"))
    model = named(folder, "mine.py")()
    assert not model.encoder.network.variance.weight.requires_grad
    assert model.encoder.network.enc[0].weight.requires_grad
