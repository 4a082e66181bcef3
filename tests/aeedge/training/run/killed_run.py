"""Trains a small run whole, and again with SIGKILL at random moments; test_killed_run.py runs it as a process.

    python killed_run.py FOLDER SEED

FOLDER gets `whole` and `pieces`. Prints {"kills": n, "looks": n, "steps": [...]}: how often the second was killed, how
often its files were read while it was at work, and the steps at which it went on. PyTorch is imported once; each
attempt is a fork.
"""

import json
import math
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aeedge.training.config import RunConfig
from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.run import logbook
from aeedge.training.run.checkpoint import read_checkpoint
from aeedge.training.run.folder import checkpoint_path, read_config
from aeedge.training.run.logbook import read_metrics

SETTINGS = RunConfig.from_dict(
    {
        "model": {"family": "dense", "hidden": [64], "latent": 8},
        "data": {"source": "synthetic", "count": 96, "held_out": 0.2},
        "training": {
            "max_steps": 60,
            "batch_size": 16,
            "validate_steps": 6,
            "checkpoint_steps": 1,
            "ema_decay": 0.9,
            "corrupt": "gaussian:0.2",
            "optimizer": {"learning_rate": 0.01, "schedule": "cosine"},
        },
    }
)
CPU = Hardware(accelerator="cpu")
MOST_KILLS = 8


def main() -> None:
    """Train twice; see above."""
    folder, chance = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    torch.set_num_threads(1)
    logbook.save_curves = lambda path, rows: None  # a second each, and no part of the promise
    train(replace(SETTINGS, training=replace(SETTINGS.training, max_steps=1)), folder / "imports", hardware=CPU)
    whole = watch(begin(folder / "whole"), folder / "whole")
    if whole.status != 0:
        raise SystemExit("the run that was not to be killed failed")
    kills, looks, steps = 0, 0, []
    while True:
        at_work = chance.random() < 0.75
        delay = chance.uniform(0, 0.4 * whole.work_s if at_work else whole.start_s)
        if kills == MOST_KILLS:
            delay = math.inf
        attempt = watch(begin(folder / "pieces"), folder / "pieces", delay, at_work=at_work)
        looks += attempt.looks
        steps.append(look(folder / "pieces"))
        if attempt.status == 0:
            break
        if attempt.status != -signal.SIGKILL:
            raise SystemExit(f"an attempt ended with {attempt.status}")
        kills += 1
    print(json.dumps({"kills": kills, "looks": looks, "steps": steps}))


def begin(out: Path) -> int:
    """Start or resume a run in a child; return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        train(SETTINGS, out, hardware=CPU, resume=(out / "config.json").exists())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


@dataclass(frozen=True)
class Attempt:
    """One child's life.

    Attributes:
        status: exit code, minus the signal if it was killed.
        looks: how often there was a checkpoint to read.
        start_s: seconds to its first checkpoint, or to its end.
        work_s: seconds from there to its end.
    """

    status: int
    looks: int
    start_s: float
    work_s: float


def watch(child: int, out: Path, delay: float = math.inf, *, at_work: bool = False) -> Attempt:
    """Read the files of a run again and again while a child makes them; kill it after a delay.

    Args:
        child: its process id.
        out: the run.
        delay: seconds from the start of the child, or from its first checkpoint.
        at_work: from its first checkpoint.
    """
    begun, first, looks, before = time.monotonic(), math.inf, 0, look(out)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        now = time.monotonic()
        if not done and now - (first if at_work else begun) >= delay:
            os.kill(child, signal.SIGKILL)
            done, status = os.waitpid(child, 0)
        if done:
            first = min(first, now)
            return Attempt(os.waitstatus_to_exitcode(status), looks, first - begun, now - first)
        step = look(out)
        looks += step > 0
        if step > before:
            first = min(first, now)
        time.sleep(0.002)


def look(out: Path) -> int:
    """Read every file that lies under its final name, a torn one raises; return the step of the last checkpoint."""
    if (out / "config.json").exists():
        read_config(out)
    read_metrics(out / "metrics.csv")
    steps = dict.fromkeys(("best", "last"), 0)
    for which in steps:
        if checkpoint_path(out, which).exists():
            steps[which] = read_checkpoint(checkpoint_path(out, which))[1].step
    return steps["last"]


if __name__ == "__main__":
    main()
