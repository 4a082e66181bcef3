import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from aeedge_export import ExportError
from aeedge_export.networks.user_code import NetworkFile, load_weights
from aeedge_runtime import ArgumentError, InputError

pytestmark = pytest.mark.torch

CODE = """
from torch import nn
from beside import WIDTH

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, WIDTH, 1))

def pair():
    return nn.Conv2d(3, 4, 8), nn.Conv2d(4, 3, 8)

made = Net()
number = 5

class Broken(nn.Module):
    def __init__(self, width):
        super().__init__()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 7\n")
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path / "mine.py"


@pytest.mark.parametrize("text", ["photo", "runs/a:b", "C:\\runs", "mine.py", "mine.txt:Net"])
def test_only_file_and_name_mean_a_network(text):
    assert NetworkFile.parse(text) is None


@pytest.mark.parametrize("name", ["Net", "made"])
def test_a_class_and_an_object_are_networks_and_files_beside_can_be_imported(file, name):
    network = NetworkFile.parse(f"{file}:{name}").load()
    assert network[0].out_channels == 7


def test_a_function_may_give_both_halves(file):
    assert [half.out_channels for half in NetworkFile(file, "pair").load()] == [4, 3]


@pytest.mark.parametrize(
    ("name", "error"), [("Nothing", ArgumentError), ("number", ArgumentError), ("Broken", ExportError)]
)
def test_other_names_are_refused(file, name, error):
    with pytest.raises(error, match=name):
        NetworkFile(file, name).load()


def test_a_file_that_fails_and_one_that_is_missing_are_one_line(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(ExportError, match="division by zero"):
        NetworkFile(tmp_path / "bad.py", "Net").load()
    with pytest.raises(ArgumentError, match="no such file"):
        NetworkFile(tmp_path / "none.py", "Net").load()


@pytest.mark.parametrize("wrap", [dict, lambda found: {"state_dict": found}, lambda found: prefixed(found, "module.")])
def test_weights_are_loaded_whatever_wrapped_them(tmp_path, wrap):
    network, other = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
    torch.save(wrap(network.state_dict()), tmp_path / "w.pt")
    load_weights(other, tmp_path / "w.pt")
    assert torch.equal(network.weight, other.weight)


def test_safetensors_for_two_halves(tmp_path):
    halves, others = (nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1)), (nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1))
    save_file(nn.ModuleDict({"encoder": halves[0], "decoder": halves[1]}).state_dict(), tmp_path / "w.safetensors")
    load_weights(others, tmp_path / "w.safetensors")
    assert torch.equal(halves[1].weight, others[1].weight)


def test_a_pickled_module_is_never_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "net.pt").write_bytes(pickle.dumps(Hostile()))
    torch.save(nn.Conv2d(3, 2, 1), tmp_path / "module.pt")
    for name in ("net.pt", "module.pt"):
        with pytest.raises(InputError, match=r"state_dict|safetensors"):
            load_weights(nn.Conv2d(3, 2, 1), tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(nn.Conv2d(3, 5, 1).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="do not match the network"):
        load_weights(nn.Conv2d(3, 2, 1), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="no such file"):
        load_weights(nn.Conv2d(3, 2, 1), tmp_path / "none.pt")


def prefixed(found, prefix):
    return {prefix + name: tensor for name, tensor in found.items()}
