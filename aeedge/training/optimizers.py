"""Optimizers by name, and the learning rate as a pure function of the step."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from aeedge.configuration import nearest
from aeedge.training.config import OptimizerConfig
from aeedge_runtime.errors import ArgumentError

Parameters = Iterable[nn.Parameter]


def _adam(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    options = {"lr": config.learning_rate, "betas": config.betas, "weight_decay": config.weight_decay, "fused": True}
    return torch.optim.Adam(parameters, **options)  # type: ignore[arg-type]


def _adamw(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    options = {"lr": config.learning_rate, "betas": config.betas, "weight_decay": config.weight_decay, "fused": True}
    return torch.optim.AdamW(parameters, **options)  # type: ignore[arg-type]


def _sgd(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"momentum": config.momentum, "weight_decay": config.weight_decay}
    return torch.optim.SGD(parameters, lr=config.learning_rate, **options)


OPTIMIZERS: dict[str, Callable[[Parameters, OptimizerConfig], torch.optim.Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
}
"""Name in a config -> function that builds the optimizer; its state must be tensors and numbers."""


def build_optimizer(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer of a config.

    Raises:
        ArgumentError: there is none of that name; the message names the nearest.
    """
    if config.name not in OPTIMIZERS:
        raise ArgumentError(f'training.optimizer.name: found "{config.name}"{nearest(config.name, OPTIMIZERS)}')
    return OPTIMIZERS[config.name](parameters, config)


def learning_rate(config: OptimizerConfig, step: int, max_steps: int) -> float:
    """Return the learning rate of a step: a linear warm-up, then constant, half a cosine or a trapezoid.

    The cosine is that of "SGDR" (arXiv 1608.03983) without restarts, the trapezoid that of "Scaling laws and
    compute-optimal training beyond fixed training durations" (arXiv 2405.18392); both end at step `max_steps`.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "trapezoid":
        share = min(1.0, (max_steps - step) / (config.decay_share * max_steps))
    else:
        progress = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
        share = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * share)
