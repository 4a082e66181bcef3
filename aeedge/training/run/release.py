"""`python -m aeedge.training.run.release RUN... FILE`: a run's weights in half size, as `--from-pretrained` reads them.

Of several runs, each of which went on from the one before, the mean of their weights, which lies deeper in the valley
that they share ("Averaging weights leads to wider optima and better generalization", arXiv 1803.05407). Half precision
is enough to start from, and is what a bundle keeps with `--half-weights`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from aeedge.training.run.checkpoint import Counters, read_checkpoint, under, write_checkpoint
from aeedge.training.run.folder import checkpoint_path
from aeedge_runtime.errors import InputError


def release_weights(runs: Sequence[Path], place: Path) -> Counters:
    """Write the best weights of a run, or the mean of several, as float16.

    Args:
        runs: run folders of one network.
        place: the safetensors file to write; its counters are those of the last run.

    Raises:
        InputError: a run has no readable checkpoint, they are of different networks, or a weight is too large.
    """
    found: list[dict[str, Tensor]] = []
    for run in runs:
        tensors, counters = read_checkpoint(checkpoint_path(run, "best"))
        found.append(under(tensors, "ema") or under(tensors, "model"))
        if _shapes(found[-1]) != _shapes(found[0]):
            raise InputError(f"{run}: found weights of another network than in {runs[0]}, expected runs of one")
    mean = dict(found[-1])
    for name, value in mean.items():
        if value.is_floating_point():
            mean[name] = torch.stack([weights[name] for weights in found]).mean(0).half()
            if not bool(torch.isfinite(mean[name]).all()):
                raise InputError(
                    f"{runs[-1]}: the weight {name} is beyond 65504, the largest of float16, or not finite"
                )
    write_checkpoint(place, {f"model.{name}": value for name, value in mean.items()}, counters)
    return counters


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
def main(runs: tuple[Path, ...], file: Path) -> None:
    """Write the weights of RUN, or the mean of several, to FILE as float16."""
    release_weights(runs, file)


if __name__ == "__main__":
    main()
