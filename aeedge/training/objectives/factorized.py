"""A learned density per latent channel, for training convolutional models for bytes.

"End-to-end optimized image compression" (arXiv 1611.01704): rounding is replaced by uniform noise where bits are
counted, and passed straight through where the decoder sees it. The density here is a mixture of logistics, whose
cumulative has a closed form.
"""

import torch
from torch import Tensor, nn

COMPONENTS = 3
SMALLEST_LIKELIHOOD = 1e-9
"""Likelihoods are kept above this, about 30 bits."""


def interval_bits(value: Tensor, width: Tensor, log_weight: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return the bits of an interval around each value under a mixture of logistic densities per channel.

    Args:
        value: latents [N, c, h, w].
        width: widths of the intervals [N, 1, 1, 1], in units of the latent.
        log_weight: unnormalized log weights [K, c].
        mean: means [K, c].
        log_scale: log scales [K, c].

    Returns:
        [N, c, h, w], -log2 of the interval's probability.
    """

    def spread(parameter: Tensor) -> Tensor:
        return parameter[:, None, :, None, None]

    distance = (value[None] - spread(mean)).abs()  # symmetric: take the lower tail, where differences stay exact
    inverse = torch.exp(-spread(log_scale))
    half = width[None] / 2
    share = torch.sigmoid((half - distance) * inverse) - torch.sigmoid((-half - distance) * inverse)
    likelihood = (spread(log_weight.softmax(0)) * share).sum(0)
    return -torch.log2(likelihood.clamp_min(SMALLEST_LIKELIHOOD))


class FactorizedDensity(nn.Module):
    """The parameters of `interval_bits` for each of `channels` latent channels."""

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.zeros(COMPONENTS, channels))
        self.mean = nn.Parameter(torch.zeros(COMPONENTS, channels))
        spread = torch.tensor([0.3, 1.0, 4.0]).log()[:, None] + torch.tensor(scale).log()
        self.log_scale = nn.Parameter(spread.repeat(1, channels))

    def forward(self, value: Tensor, width: Tensor) -> Tensor:
        """Return bits [N, c, h, w] of intervals of `width` [N, 1, 1, 1] around latents [N, c, h, w]."""
        return interval_bits(value, width, self.log_weight, self.mean, self.log_scale)
