"""Writes a run's weights as float16, as `--from-pretrained` reads them: `python -m aeedge.training.run.release`.

Several runs, each continued from the one before, give the mean of their weights, which is deeper in the valley that
they share ("Averaging weights leads to wider optima and better generalization", arXiv 1803.05407). Half precision is
enough to start from.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from aeedge.training.run.checkpoint import Counters, read_checkpoint, under, write_checkpoint
from aeedge.training.run.folder import checkpoint_path
from aeedge_runtime.errors import InputError


def release_weights(runs: Sequence[Path], path: Path) -> Counters:
    """Write the best weights of a run, or the mean of several, as float16.

    Args:
        runs: run folders of one network.
        path: the safetensors file to write; its counters are those of the last run.

    Raises:
        InputError: a run has no readable checkpoint, they are of different networks, or a weight is too large.
    """
    found: list[dict[str, Tensor]] = []
    for run in runs:
        tensors, counters = read_checkpoint(checkpoint_path(run, "best"))
        found.append(under(tensors, "ema") or under(tensors, "model"))
        if _shapes(found[-1]) != _shapes(found[0]):
            raise InputError(f"{run}: the network is not that of {runs[0]}; name runs of one network")
    mean = dict(found[-1])
    for name, value in mean.items():
        if value.is_floating_point():
            mean[name] = torch.stack([weights[name] for weights in found]).mean(0).half()
            if not bool(torch.isfinite(mean[name]).all()):
                raise InputError(
                    f"{runs[-1]}: the weight {name} is beyond 65504, the largest of float16, or not finite"
                )
    write_checkpoint(path, {f"model.{name}": value for name, value in mean.items()}, counters)
    return counters


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse a command line, that of the process by default, and write the file."""
    parser = argparse.ArgumentParser(description="Write the weights of a run, or the mean of several, as float16.")
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run folders of one network")
    parser.add_argument("file", metavar="FILE", type=Path, help="safetensors file to write")
    parsed = parser.parse_args(arguments)
    release_weights(parsed.runs, parsed.file)


if __name__ == "__main__":
    main()
