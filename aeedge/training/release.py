"""`python -m aeedge.training.release RUN FILE`: the weights of a run in half size, as `--from-pretrained` reads them.

Half precision is enough to start from; the bundle keeps float32.
"""

import sys
from pathlib import Path

import torch

from aeedge.training.checkpoint import Counters, read_checkpoint, under, write_checkpoint
from aeedge.training.run import checkpoint_path


def release_weights(run: Path, place: Path) -> Counters:
    """Write the best weights of a run as float16.

    Args:
        run: the run folder.
        place: the safetensors file to write; its counters say how long the run was.

    Raises:
        InputError: the run has no readable checkpoint.
    """
    tensors, counters = read_checkpoint(checkpoint_path(run, "best"))
    weights = under(tensors, "ema") or under(tensors, "model")
    halves = {name: value.half() if value.dtype == torch.float32 else value for name, value in weights.items()}
    small = {f"model.{name}": value for name, value in halves.items()}
    write_checkpoint(place, small, counters)
    return counters


if __name__ == "__main__":
    release_weights(Path(sys.argv[1]), Path(sys.argv[2]))
