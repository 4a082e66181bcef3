"""Networks in Python files and their weights. A file runs only if the command names it."""

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from aeedge_export.errors import ExportError
from aeedge_export.networks.halves import Network
from aeedge_export.networks.refusals import one_line
from aeedge_runtime.errors import ArgumentError, InputError

WRAPPERS = ("module.", "model.", "_orig_mod.")
"""Prefixes that wrappers of training loops put before every name."""


@dataclass(frozen=True)
class NetworkFile:
    """A network by its file and name.

    Attributes:
        path: Python file.
        name: class, function or object in it.
    """

    path: Path
    name: str

    @classmethod
    def parse(cls, text: str) -> "NetworkFile | None":
        """Return FILE.py:NAME as its parts; None for anything else."""
        path, colon, name = text.rpartition(":")
        return cls(Path(path), name) if colon and path.endswith(".py") else None

    def sha256(self) -> str:
        """Return the hash of the file, without what it imports."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def load(self) -> Network:
        """Run the file and return its network: an object, or what its class or function gives without arguments.

        Raises:
            ArgumentError: there is no such file or name, or it is no network.
            ExportError: the file or the class fails.
        """
        if not self.path.is_file():
            raise ArgumentError(f"{self.path}: no such file, expected FILE.py:NAME")
        module = self._run()
        if not hasattr(module, self.name):
            raise ArgumentError(f"{self.path}: {self.name} is not defined in it")
        found: Any = getattr(module, self.name)
        if not isinstance(found, nn.Module | tuple) and callable(found):
            try:
                found = found()
            except Exception as error:  # a stranger's code
                raise ExportError(
                    f"{self.path}:{self.name} cannot be built without arguments ({one_line(error)}); name a function "
                    "that returns the network"
                ) from error
        halves = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(half, nn.Module) for half in halves) or len(halves) > 2:
            raise ArgumentError(f"{self.path}:{self.name}: expected a torch module, or a tuple of encoder and decoder")
        return cast(Network, found)

    def _run(self) -> Any:
        """Import the file as a separate module; files next to it can be imported."""
        name = f"aeedge_network_{self.path.stem}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        if spec is None or spec.loader is None:
            raise ArgumentError(f"{self.path}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # torch.export looks up the module of a class
        folder = str(self.path.parent.resolve())
        sys.path.insert(0, folder)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ExportError(f"{self.path} fails when it runs: {one_line(error)}") from error
        finally:
            sys.path.remove(folder)
        return module


def load_weights(network: Network, path: Path) -> None:
    """Load weights into a network, all of them and no others.

    Args:
        network: one module, or encoder and decoder, whose weights are below `encoder.` and `decoder.` then.
        path: `.safetensors`, or a file of `torch.save(net.state_dict(), ...)`.

    Raises:
        InputError: the file is missing or damaged, or holds more than weights.
        ArgumentError: it is of another network.
    """
    module = nn.ModuleDict({"encoder": network[0], "decoder": network[1]}) if isinstance(network, tuple) else network
    weights = read_weights(path)
    expected = module.state_dict().keys()
    for prefix in WRAPPERS:
        if not expected & weights.keys() and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ArgumentError(f"{path}: the weights do not match the network: {one_line(error)}") from error


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name; nothing in it is run.

    Raises:
        InputError: see `load_weights`.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected .safetensors or a saved state_dict")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and safetensors raise a dozen types on other files
        raise InputError(
            f"{path}: holds more than weights, or is damaged; save net.state_dict() or a .safetensors file instead"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise InputError(f"{path}: expected tensors by name, as in net.state_dict()")
    return found
