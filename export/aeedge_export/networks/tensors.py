"""The tensor that is meant among the outputs of a network: tuples, dicts, distributions and output objects."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from aeedge_export.errors import ExportError

LATENT_NAMES = ("latent_dist", "latents", "latent", "embedding", "mean", "mu", "z", "y")
IMAGE_NAMES = ("sample", "reconstruction", "recon_x", "x_hat", "image")

FLAGS = {"latent": "latent", "output": "output (of the command line: --decoded)"}
"""Option of `adapt` -> how a message names it."""

Choice = int | str | Callable[[Any], Tensor] | None
"""Which output is meant: a position, a key or attribute, a function of the output, or None to find it by its name."""


def chosen_tensor(output: Any, choice: Choice, names: tuple[str, ...], option: str) -> Tensor:
    """Return the tensor that is meant.

    Args:
        output: what the network returned.
        choice: which part of it is meant.
        names: usual names of it, most likely first.
        option: option that makes the choice, for messages.

    Raises:
        ExportError: there is no such part, or several are possible.
    """
    if callable(choice):
        return chosen_tensor(choice(output), None, names, option)
    if choice is not None:
        return chosen_tensor(_part(output, choice, option), None, names, option)
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Distribution):
        return output.mean
    if callable(getattr(output, "mode", None)) and hasattr(output, "logvar"):
        return chosen_tensor(output.mode(), None, names, option)
    for name in names:
        found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if (found is not None and not callable(found)) or isinstance(found, Distribution):
            return chosen_tensor(found, None, names, option)
    if isinstance(output, tuple | list) and output:
        return chosen_tensor(output[0], None, names, option)
    if isinstance(output, Mapping) and len(output) == 1:
        return chosen_tensor(next(iter(output.values())), None, names, option)
    kind = f"a dict with {', '.join(map(str, output))}" if isinstance(output, Mapping) else type(output).__name__
    raise ExportError(f"the network returns {kind}, expected one tensor; say which with {FLAGS[option]}")


def _part(output: Any, choice: int | str, option: str) -> Any:
    try:
        if isinstance(choice, int) or isinstance(output, Mapping):
            return output[choice]
        return getattr(output, choice)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ExportError(f"{option}: the network's output ({type(output).__name__}) has no {choice!r}") from error
