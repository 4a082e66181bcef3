"""A moving average of the weights, which generalizes better than the last step's."""

import copy
from itertools import compress

import torch
from torch import nn


class Average:
    """An exponential moving average of a model ("Acceleration of stochastic approximation by averaging", 1992).

    Args:
        model: the model that is trained.
        decay: share of the average kept at each step; early steps keep less, (1 + n) / (10 + n).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the weights after optimizer step `step` (from 0); copy the buffers.

        Weights that are not trained stay as they are, to the sign of a zero: they are part of the stream id.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        trained = [parameter.requires_grad for parameter in model.parameters()]
        mine = list(compress(self.model.parameters(), trained))
        theirs = [parameter.detach() for parameter in compress(model.parameters(), trained)]
        torch._foreach_lerp_(mine, theirs, 1 - decay)  # type: ignore[arg-type]
        for kept, current in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(current)
