"""`python -m aeedge.training.release RUN... FILE`: a run's weights in half size, as `--from-pretrained` reads them.

Of several runs, each of which went on from the one before, the mean of their weights, which lies deeper in the valley
that they share ("Averaging weights leads to wider optima and better generalization", arXiv 1803.05407). Half precision
is enough to start from, and is what a bundle keeps with `--half-weights`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from aeedge.training.checkpoint import Counters, read_checkpoint, under, write_checkpoint
from aeedge.training.run import checkpoint_path


def release_weights(runs: Sequence[Path], place: Path) -> Counters:
    """Write the best weights of a run, or the mean of several, as float16.

    Args:
        runs: run folders of one network.
        place: the safetensors file to write; its counters are those of the last run.

    Raises:
        InputError: a run has no readable checkpoint.
    """
    weights: dict[str, Tensor] = {}
    for run in runs:
        tensors, counters = read_checkpoint(checkpoint_path(run, "best"))
        for name, value in (under(tensors, "ema") or under(tensors, "model")).items():
            if name in weights and value.dtype == torch.float32:
                weights[name] = weights[name] + value / len(runs)
            else:
                weights[name] = value / len(runs) if value.dtype == torch.float32 else value
    halves = {name: value.half() if value.dtype == torch.float32 else value for name, value in weights.items()}
    write_checkpoint(place, {f"model.{name}": value for name, value in halves.items()}, counters)
    return counters


if __name__ == "__main__":
    release_weights([Path(run) for run in sys.argv[1:-1]], Path(sys.argv[-1]))
